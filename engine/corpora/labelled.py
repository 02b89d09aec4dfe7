"""Labelled speech, as people keep it: a CSV, a folder per label, or EmoBox's JSON lines."""

from __future__ import annotations

import base64
import binascii
import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..audio.types import AUDIO_SUFFIXES
from ..errors import OptionError

if TYPE_CHECKING:
    from ..audio.types import Samples

SYNONYMS = {
    "anger": "angry", "disgust": "disgusted", "fear": "fearful", "happiness": "happy",
    "joy": "happy", "neutrality": "neutral", "sadness": "sad", "surprise": "surprised",
    "calm": "neutral", "pleasant surprise": "surprised", "pleasant_surprise": "surprised",
    "boredom": "other", "bored": "other", "<unk>": "unknown",
}  # fmt: skip
"""How corpora call the emotions that emotion2vec+ knows under another name."""


@dataclass(frozen=True)
class LabelledClip:
    """One recording of a corpus."""

    path: Path
    label: str | None
    """The true emotion, under emotion2vec's name where it has one; None where it is not known."""
    corpus: str
    start: float | None = None
    """Seconds: where the clip begins in its file, if it is a part of it."""
    end: float | None = None
    speaker: str | None = None
    """Who speaks, where that is known: unique within the corpus."""
    row: int | None = None
    """Line of the manifest, from 1."""
    encoder: str | None = None
    embedding: bytes | None = None
    """Of a manifest of corrections: the embedding, and which encoder it is of."""

    @property
    def voice(self) -> str | None:
        """Who speaks, apart across corpora."""
        return self.speaker and f"{self.corpus}/{self.speaker}"

    def samples(self) -> Samples:
        """The part of the file that is meant; raises as :func:`~.audio.recording.load_audio`."""
        from ..audio.recording import load_audio
        from ..audio.types import SAMPLE_RATE

        samples = load_audio(self.path).samples
        start = round((self.start or 0) * SAMPLE_RATE)
        end = round(self.end * SAMPLE_RATE) if self.end else len(samples)
        return samples[start:end]

    @property
    def place(self) -> str:
        """Where it was found, for messages."""
        return f"{self.path}" if self.row is None else f"line {self.row}: {self.path}"


def read_corpus(path: Path, split: str | None = "test") -> list[LabelledClip]:
    """The clips of a corpus, or of several.

    Args:
        path: a CSV with the columns ``path,label`` and perhaps ``split`` (paths start from the
            CSV, and their first folder is the corpus); a folder with one folder per label, or of
            recordings without labels; or a ``.jsonl`` of EmoBox, with its ``label_map.json`` beside
            or above it (paths start from the current folder, that of the file, or one above).
        split: rows of this split are taken, and rows that name none; None takes all.

    Raises:
        OptionError: there is no such corpus, or it cannot be read.
    """
    if not path.exists():
        raise OptionError(f"{path}: no such manifest or folder")
    try:
        if path.is_dir():
            return list(_folders(path))
        if path.suffix == ".jsonl":
            return list(_emobox(path))
        with path.open(encoding="utf-8", newline="") as file:
            return list(_rows(file, path, split))
    except (OSError, UnicodeDecodeError, csv.Error, binascii.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OptionError(f"{path}: no corpus can be read there: {reason}") from None


def canonical(label: str) -> str:
    """A label under emotion2vec's name, if it is known under another one."""
    plain = label.strip().lower()
    return SYNONYMS.get(plain, plain)


def _rows(file: Any, path: Path, split: str | None) -> Iterator[LabelledClip]:
    reader = csv.DictReader(file)
    if "path" not in (reader.fieldnames or ()):
        raise OptionError(f"{path}: a manifest is a CSV with the columns path,label")
    for row in reader:
        if split is not None and (row.get("split") or split) != split:
            continue
        name = Path(row["path"])
        corpus = name.parts[0] if len(name.parts) > 1 and not name.is_absolute() else path.stem
        label = row.get("label")
        yield LabelledClip(
            path.parent / name,
            canonical(label) if label else None,
            corpus,
            speaker=row.get("speaker") or None,
            row=reader.line_num,
            encoder=row.get("encoder") or None,
            embedding=base64.b64decode(row["embedding"], validate=True)
            if row.get("embedding")
            else None,
        )


def _folders(root: Path) -> Iterator[LabelledClip]:
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() in AUDIO_SUFFIXES:
            parts = path.relative_to(root).parts
            yield LabelledClip(path, canonical(parts[0]) if len(parts) > 1 else None, root.name)


def _emobox(path: Path) -> Iterator[LabelledClip]:
    names: dict[str, str] = {}
    for folder in (path.parent, path.parent.parent):
        if (folder / "label_map.json").is_file():
            names = json.loads((folder / "label_map.json").read_text(encoding="utf-8"))
            break
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            label, wav = str(row["emo"]), Path(row["wav"])
        except (ValueError, KeyError, TypeError):
            raise OptionError(
                f"{path}: line {number} is not of EmoBox: it needs wav and emo"
            ) from None
        bases = [Path(), *path.absolute().parents]
        found = next((base / wav for base in bases if (base / wav).is_file()), wav)
        yield LabelledClip(
            found,
            canonical(names.get(label, label)),
            str(row.get("dataset") or path.stem),
            row.get("start_time"),
            row.get("end_time"),
            speaker=str(row["spk"]) if row.get("spk") else None,
            row=number,
        )
