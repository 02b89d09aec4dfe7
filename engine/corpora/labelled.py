"""Labelled speech in its usual forms: a CSV, a folder for each label, or EmoBox's JSON lines."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..audio.types import AUDIO_SUFFIXES
from ..bundle.manifest import MOST_LABEL
from ..errors import OptionError
from ..fields import Fields, read_json
from ..files import MOST_PATH

if TYPE_CHECKING:
    from ..audio.types import Samples

MOST_SECONDS = 1e7

SYNONYMS = {
    "anger": "angry", "disgust": "disgusted", "fear": "fearful", "happiness": "happy",
    "joy": "happy", "neutrality": "neutral", "sadness": "sad", "surprise": "surprised",
    "calm": "neutral", "pleasant surprise": "surprised", "pleasant_surprise": "surprised",
    "boredom": "other", "bored": "other", "<unk>": "unknown",
}  # fmt: skip
"""Other names for emotions → emotion2vec+'s own."""


@dataclass(frozen=True)
class LabelledClip:
    """One recording of a corpus, or a part of one."""

    path: Path
    label: str | None
    """The true emotion, under emotion2vec's name if it has one; None if it is not known."""
    corpus: str
    start: float | None = None
    """Seconds from the start of the file to the clip; None for the start."""
    end: float | None = None
    """Seconds from the start of the file to the clip's end; None for the end of the file."""
    speaker: str | None = None
    """Name of the speaker, unique within the corpus; None if it is not known."""
    row: int | None = None
    """Line of the manifest, from 1."""
    encoder: str | None = None
    """Encoder of ``embedding``; see :func:`~.bundle.manifest.encoder_id`."""
    embedding: bytes | None = None
    """Embedding of the clip, little-endian float32, in a manifest of corrections."""

    @property
    def voice(self) -> str | None:
        """Name of the speaker, unique across corpora."""
        return self.speaker and f"{self.corpus}/{self.speaker}"

    def samples(self) -> Samples:
        """The samples of the clip; raises as :func:`~.audio.recording.load_audio`."""
        from ..audio.recording import load_audio
        from ..audio.types import SAMPLE_RATE

        samples = load_audio(self.path).samples
        start = round((self.start or 0) * SAMPLE_RATE)
        end = round(self.end * SAMPLE_RATE) if self.end else len(samples)
        return samples[start:end]

    @property
    def place(self) -> str:
        """Path and line of the manifest, for messages."""
        return f"{self.path}" if self.row is None else f"line {self.row}: {self.path}"


def read_corpus(path: Path, split: str | None = "test") -> list[LabelledClip]:
    """The clips of a corpus, or of several.

    Args:
        path: a CSV with the columns ``path,label`` and perhaps ``split`` and ``speaker`` (paths
            are relative to the CSV, and their first folder is the corpus); a folder with one
            folder for each label, or of recordings without labels; or a ``.jsonl`` of EmoBox, with
            its ``label_map.json`` beside or above it (paths are relative to the current folder,
            that of the file, or one above).
        split: split of a CSV to take; rows that name no split are always taken. None takes all.

    Raises:
        OptionError: there is no such corpus, or it cannot be read; the message names the line.
    """
    if not path.exists():
        raise OptionError(f"{path}: no such manifest or folder")
    try:
        if path.is_dir():
            return list(_folders(path))
        text = _decoded(path, path.read_bytes())
    except OSError as error:
        raise OptionError(f"{path}: no corpus can be read there: {error.strerror}") from None
    return list(_emobox(path, text) if path.suffix == ".jsonl" else _rows(path, text, split))


def canonical(label: str) -> str:
    """The label in lower case, under emotion2vec's name if it is known under another one."""
    plain = label.strip().lower()
    return SYNONYMS.get(plain, plain)


def _decoded(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")  # spreadsheets write a mark at the start
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise OptionError(
            f"{path}: no corpus can be read there: line {line} is not UTF-8"
        ) from None


def _rows(path: Path, text: str, split: str | None) -> Iterator[LabelledClip]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        if "path" not in (reader.fieldnames or ()):
            raise OptionError(f"{path}: a manifest is a CSV with the columns path,label")
        for row in reader:
            fields = Fields(
                {key: value for key, value in row.items() if value},
                f"{path}: line {reader.line_num}",
                OptionError,
            )
            if split is None or fields.text("split", split) == split:
                yield _row(path, fields, reader.line_num)
    except csv.Error as error:
        raise OptionError(
            f"{path}: no corpus can be read there: line {reader.line_num + 1}: {error}"
        ) from None


def _row(path: Path, fields: Fields, line: int) -> LabelledClip:
    name = Path(fields.text("path", most=MOST_PATH))
    return LabelledClip(
        path.parent / name,
        canonical(_line(fields, "label")) or None if fields.has("label") else None,
        name.parts[0] if len(name.parts) > 1 and not name.is_absolute() else path.stem,
        speaker=_optional_name(fields, "speaker"),
        row=line,
        encoder=_optional_name(fields, "encoder"),
        embedding=_embedding(fields),
    )


def _embedding(fields: Fields) -> bytes | None:
    if not fields.has("embedding"):
        return None
    text = fields.text("embedding", most=csv.field_size_limit())
    try:
        embedding = base64.b64decode(text, validate=True)
    except binascii.Error:
        embedding = b""
    if not embedding or len(embedding) % 4 or not _is_finite(embedding):
        raise fields.wrong("embedding", "base64 of finite little-endian float32", text)
    return embedding


def _is_finite(embedding: bytes) -> bool:
    import numpy as np

    return bool(np.isfinite(np.frombuffer(embedding, "<f4")).all())


def _folders(root: Path) -> Iterator[LabelledClip]:
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file():
            parts = path.relative_to(root).parts
            yield LabelledClip(path, canonical(parts[0]) if len(parts) > 1 else None, root.name)


def _emobox(path: Path, text: str) -> Iterator[LabelledClip]:
    names = _label_map(path)
    bases = [Path(), *path.absolute().parents]
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        document = f"{path}: line {number}"
        try:
            row: Any = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise OptionError(f"{document} is not of EmoBox: {error}") from None
        fields = Fields(row, document, OptionError)
        wav = Path(fields.text("wav", most=MOST_PATH))
        emotion = _line(fields, "emo")
        start = _seconds(fields, "start_time")
        end = _seconds(fields, "end_time") or None
        if end is not None and end <= (start or 0):
            raise fields.wrong("end_time", "after start_time", end)
        yield LabelledClip(
            next((base / wav for base in bases if (base / wav).is_file()), wav),
            canonical(names.get(emotion, emotion)),
            _optional_name(fields, "dataset") or path.stem,
            start,
            end,
            speaker=_optional_name(fields, "spk"),
            row=number,
        )


def _label_map(path: Path) -> dict[str, str]:
    """Names of the labels in an EmoBox manifest."""
    for folder in (path.parent, path.parent.parent):
        if (folder / "label_map.json").is_file():
            fields = read_json(folder / "label_map.json", OptionError)
            return {name: _line(fields, name) for name in fields.names(0, 1_000)}
    return {}


def _line(fields: Fields, key: str) -> str:
    return fields.text(key, most=MOST_LABEL, pattern=".*", allowed="one line of text")


def _optional_name(fields: Fields, key: str) -> str | None:
    """A name that may also be a number; None if it is missing or empty."""
    if fields.values.get(key) in (None, ""):
        return None
    if isinstance(fields.values[key], int):
        return str(fields.integer(key, least=0, most=1 << 63))
    return _line(fields, key)


def _seconds(fields: Fields, key: str) -> float | None:
    if not fields.has(key):
        return None
    return fields.number(key, least=0, most=MOST_SECONDS, from_text=True)
