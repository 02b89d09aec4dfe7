"""Recognize the recordings of a folder, with progress.

    python examples/recognize_folder.py FOLDER

Prints a line per recording: emotion, confidence and path. Recordings that cannot be used are
reported on stderr, and the others go on. ``e2v batch`` does this and more.
"""

import sys
from pathlib import Path

from emotion2vec_edge.engine import E2VError, Recognizer


def main(folder: Path) -> None:
    """Recognize every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    recognizer = Recognizer.load()
    failed = 0
    # Decodes ahead, and encodes several recordings together where there is a GPU.
    results = recognizer.encode_many(files, errors="return")
    for number, (file, result) in enumerate(zip(files, results, strict=True), 1):
        if sys.stderr.isatty():
            print(f"\r{number} of {len(files)}", end="\r", file=sys.stderr, flush=True)
        if isinstance(result, E2VError):
            failed += 1
            print(result, file=sys.stderr)
        else:
            utterance = result.utterance()
            print(f"{utterance.emotion}\t{utterance.confidence:.2f}\t{file}")
    print(f"{len(files) - failed} recognized, {failed} failed", file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
