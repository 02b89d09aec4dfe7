"""Corrected answers, kept on this machine in SQLite; nothing of them leaves it.

The embedding is kept too, so that a head can be fitted later even where the recording is gone.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import datetime
import hashlib
import io
import json
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bundle.manifest import Manifest
from ..errors import OptionError, OutputError
from ..files import reported, write_file

STORE_VARIABLE = "E2V_FEEDBACK"
"""Environment variable that moves the store."""

COLUMNS = ("path", "label", "speaker", "encoder", "embedding")
"""Of an exported manifest. The embedding is base64 of little-endian float32."""

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
    """One clip, and what it really was."""

    path: str
    label: str
    """The right emotion."""
    speaker: str | None
    answered: str | None
    """What the model had said."""
    confidence: float | None
    seconds: float | None
    model: str
    encoder: str
    """Which encoder the embedding is of; see :func:`encoder_id`."""
    embedding: NDArray[np.float32]
    """float32 [dim]."""
    id: int | None = None
    added: str | None = None
    """Time, ISO 8601, UTC."""


def store_path() -> Path:
    """``$E2V_FEEDBACK``, else a file in the user's data folder."""
    if override := os.environ.get(STORE_VARIABLE):
        return Path(override)
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "emotion2vec-edge" / "feedback.sqlite"


def encoder_id(manifest: Manifest) -> str:
    """The same for all bundles whose encoders have the same weights, whatever their heads."""
    digests: Any = manifest.name
    if manifest.source.sha256:
        digests = manifest.source.sha256.get("model.pt", dict(manifest.source.sha256))
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()[:16]


class FeedbackStore:
    """The store. Several processes may write to it at once.

    Raises:
        OutputError: it cannot be opened, read or written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or store_path()
        with reported(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._connected() as connection:
            connection.execute(_TABLE)

    def add(self, correction: Correction) -> int:
        """Keep a correction; one of the same recording takes the place of the former. Its id."""
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        values = (
            now, correction.path, correction.label, correction.speaker, correction.answered,
            correction.confidence, correction.seconds, correction.model, correction.encoder,
            correction.embedding.astype("<f4").tobytes(),
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
        with self._connected() as connection:
            if not connection.execute("DELETE FROM feedback WHERE id = ?", (number,)).rowcount:
                raise OptionError(f"{self.path}: no correction {number}; see e2v feedback list")

    def corrections(self) -> list[Correction]:
        """All of them, oldest first."""
        names = [field.name for field in fields(Correction)]
        with self._connected() as connection:
            rows = connection.execute(
                f"SELECT {', '.join(names)} FROM feedback ORDER BY id"  # noqa: S608 - our own names
            ).fetchall()
        kept = [dict(zip(names, row, strict=True)) for row in rows]
        return [
            Correction(
                **{**row, "embedding": np.frombuffer(row["embedding"], "<f4").astype(np.float32)}
            )
            for row in kept
        ]

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


def write_manifest(corrections: list[Correction], path: Path) -> None:
    """Write corrections as a CSV that :func:`~.corpora.labelled.read_corpus` reads.

    Raises:
        OutputError: it cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in corrections:
        embedding = base64.b64encode(one.embedding.astype("<f4").tobytes()).decode()
        writer.writerow([one.path, one.label, one.speaker or "", one.encoder, embedding])
    write_file(path, text.getvalue().encode())
