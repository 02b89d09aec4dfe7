"""Corrected answers, kept on this machine in SQLite; nothing of them leaves it.

The embedding is kept too, so that a head can be fitted later even if the recording is gone.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import datetime
import io
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bundle.manifest import LABEL_PATTERN, MOST_LABEL
from ..errors import E2VError, OptionError, OutputError
from ..fields import Fields
from ..files import MOST_PATH, reported, write_file
from .labelled import MOST_SECONDS

STORE_VARIABLE = "E2V_FEEDBACK"
"""Environment variable that moves the store."""

COLUMNS = ("path", "label", "speaker", "encoder", "embedding")
"""Columns of an exported manifest. The embedding is base64 of little-endian float32."""

_TABLE = """
CREATE TABLE IF NOT EXISTS feedback (
    id INTEGER PRIMARY KEY,
    added TEXT NOT NULL,
    path TEXT NOT NULL,
    label TEXT NOT NULL,
    speaker TEXT,
    answered TEXT,
    confidence REAL,
    seconds REAL,
    model TEXT NOT NULL,
    encoder TEXT NOT NULL,
    embedding BLOB NOT NULL,
    UNIQUE (path, encoder)
)"""


@dataclass(frozen=True)
class Correction:
    """One recording and its true emotion."""

    path: str
    label: str
    """The true emotion."""
    speaker: str | None
    answered: str | None
    """The answer of the model."""
    confidence: float | None
    """Confidence of that answer."""
    seconds: float | None
    """Length of the recording."""
    model: str
    """Name of the model."""
    encoder: str
    """Encoder of the embedding; see :func:`~.bundle.manifest.encoder_id`."""
    embedding: NDArray[np.float32]
    """float32 [dim]."""
    id: int | None = None
    added: str | None = None
    """Time, ISO 8601, UTC."""


def store_path() -> Path:
    """``$E2V_FEEDBACK``, else a file in the user's data folder.

    Raises:
        OutputError: the user has no home folder.
    """
    if override := os.environ.get(STORE_VARIABLE):
        return Path(override)
    try:
        base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    except RuntimeError as error:
        raise OutputError(
            f"there is no data folder: {error}; set {STORE_VARIABLE} to a file"
        ) from None
    return Path(base) / "emotion2vec-edge" / "feedback.sqlite"


class FeedbackStore:
    """The store. Several processes may write to it at once.

    Raises:
        OutputError: it cannot be opened, read or written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or store_path()
        with reported(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists() and not self.path.is_file():
                raise OutputError(f"{self.path}: a feedback store is a regular file")
        with self._connected() as connection:
            connection.execute(_TABLE)

    def add(self, correction: Correction) -> int:
        """Keep a correction in place of an earlier one of the same recording and encoder.

        Returns:
            its id.

        Raises:
            OptionError: a field of it cannot be kept.
        """
        kept = _checked(asdict(correction), "the correction", OptionError)
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        values = (
            now, kept.path, kept.label, kept.speaker, kept.answered, kept.confidence,
            kept.seconds, kept.model, kept.encoder, kept.embedding.astype("<f4").tobytes(),
        )  # fmt: skip
        with self._connected() as connection:
            row = connection.execute(
                "INSERT INTO feedback (added, path, label, speaker, answered, confidence, seconds,"
                " model, encoder, embedding) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (path, encoder) DO UPDATE SET added = excluded.added,"
                " label = excluded.label, speaker = excluded.speaker,"
                " answered = excluded.answered, confidence = excluded.confidence,"
                " seconds = excluded.seconds, model = excluded.model,"
                " embedding = excluded.embedding RETURNING id",
                values,
            ).fetchone()
        return int(row[0])

    def remove(self, number: int) -> None:
        """Forget a correction.

        Raises:
            OptionError: there is none of that id.
        """
        removed = 0
        if abs(number) < 1 << 63:  # SQLite has no larger integers
            with self._connected() as connection:
                removed = connection.execute(
                    "DELETE FROM feedback WHERE id = ?", (number,)
                ).rowcount
        if not removed:
            raise OptionError(f"{self.path}: no correction {number}; see e2v feedback list")

    def corrections(self) -> list[Correction]:
        """All corrections, oldest first."""
        names = [field.name for field in fields(Correction)]
        with self._connected() as connection:
            rows = connection.execute(
                f"SELECT {', '.join(names)} FROM feedback ORDER BY id"  # noqa: S608 - our own names
            ).fetchall()
        return [self._read(dict(zip(names, row, strict=True))) for row in rows]

    def _read(self, row: dict[str, Any]) -> Correction:
        document = (
            f"{self.path}: correction {row['id']} is damaged (e2v feedback remove {row['id']} "
            "forgets it)"
        )
        content = row["embedding"]
        if not isinstance(content, bytes) or len(content) % 4:
            raise OutputError(f"{document}: embedding should be float32")
        return _checked({**row, "embedding": np.frombuffer(content, "<f4")}, document, OutputError)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            with (
                contextlib.closing(sqlite3.connect(self.path, timeout=30)) as connection,
                connection,
            ):
                yield connection
        except sqlite3.Error as error:
            raise OutputError(
                f"{self.path}: the feedback store cannot be used: {error}; is it a file that e2v "
                f"made, with room on its disk? {STORE_VARIABLE} names another"
            ) from None


def _checked(values: dict[str, Any], document: str, error: type[E2VError]) -> Correction:
    """A correction whose fields all have their types and ranges."""
    embedding = np.asarray(values["embedding"], np.float32)
    if embedding.ndim != 1 or not embedding.size or not np.isfinite(embedding).all():
        raise error(f"{document}: embedding should be finite numbers, [dim]")
    inner = Fields(values, document, error)
    return Correction(
        path=inner.text("path", most=MOST_PATH),
        label=inner.text(
            "label", most=MOST_LABEL, pattern=LABEL_PATTERN, allowed="one line of text"
        ),
        speaker=_optional_line(inner, "speaker"),
        answered=_optional_line(inner, "answered"),
        confidence=_optional_number(inner, "confidence", 1),
        seconds=_optional_number(inner, "seconds", MOST_SECONDS),
        model=inner.text("model"),
        encoder=inner.text("encoder"),
        embedding=embedding,
        id=inner.integer("id", most=1 << 63) if inner.has("id") else None,
        added=_optional_line(inner, "added"),
    )


def _optional_line(inner: Fields, key: str) -> str | None:
    if not inner.has(key):
        return None
    return inner.text(key, most=MOST_LABEL, pattern=".*", allowed="one line of text")


def _optional_number(inner: Fields, key: str, most: float) -> float | None:
    return inner.number(key, least=0, most=most) if inner.has(key) else None


def write_manifest(corrections: list[Correction], path: Path) -> None:
    """Write corrections as a CSV that :func:`~.corpora.labelled.read_corpus` reads.

    Raises:
        OutputError: it cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for kept in corrections:
        embedding = base64.b64encode(kept.embedding.astype("<f4").tobytes()).decode()
        writer.writerow([kept.path, kept.label, kept.speaker or "", kept.encoder, embedding])
    write_file(path, text.getvalue().encode())
