"""Fit a new emotion head to recordings of your own, and recognize one with it.

    pip install ".[cpu,finetune]"
    python examples/finetune_head.py FOLDER BUNDLE

FOLDER holds LABEL/SPEAKER/RECORDING files: any labels, at least five recordings of each, of at
least two speakers. The new model is written to BUNDLE. Its accuracy, which is printed, is measured
on speakers that were held out.
"""

import csv
import subprocess
import sys
from pathlib import Path

from emotion2vec_edge.engine import Recognizer


def write_manifest(folder: Path, manifest: Path) -> list[Path]:
    """Write the table that ``e2v finetune`` reads; the recordings in it."""
    recordings = sorted(path for path in folder.glob("*/*/*") if path.is_file())
    with manifest.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "speaker"])
        for path in recordings:
            table.writerow([path.absolute(), path.parts[-3], path.parts[-2]])
    return recordings


def main(folder: Path, bundle: Path) -> None:
    """Fit the head, then ask the new model about the first recording."""
    manifest = bundle.with_suffix(".csv")
    recordings = write_manifest(folder, manifest)
    e2v = [sys.executable, "-m", "emotion2vec_edge.engine.cli"]
    command = ["finetune", "emotion2vec_small", "--head", "--data", manifest, "-o", bundle]
    subprocess.run([*e2v, *command], check=True)  # noqa: S603 - our own arguments

    utterance = Recognizer.load(bundle).recognize(recordings[0])
    print(f"{recordings[0]}: {utterance.emotion} ({utterance.confidence:.0%})")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
