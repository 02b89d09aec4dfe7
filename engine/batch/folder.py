"""The folder that a batch writes: results that are whole or absent, and a log to go on from.

::

    OUT/
      results/PLACE.json      all of one recording; beside it .srt and the like, where asked for
      embeddings/PLACE.npy    float32 [dim]
      results.jsonl           a line for each recording, written as it is done: what is here is done
      results.csv             the same as a table, made at the end
      failures.jsonl          a line for each recording that could not be used, with the reason
      summary.json            counts, speed, labels, confidence
      .work/                  what is being written, and a lock; swept at the start and at the end

A file appears in its place by renaming, so a process that is killed at any moment leaves none that
is half-written. A line of a log is one write, and a log is cut back to its last whole line.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..errors import OutputError
from ..files import reported, write_file
from ..results.writers.base import csv_row

RESERVE_BYTES = 256 << 10
"""Set aside, so that a disk that is full still takes the summary."""


class Log:
    """A file of JSON lines that only grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open()

    def append(self, row: dict[str, Any]) -> None:
        """Add a line, or nothing.

        Raises:
            OutputError: it cannot be written.
        """
        line = (json.dumps(row, ensure_ascii=False) + "\n").encode()
        with reported(self.path):
            try:
                if os.pwrite(self._file, line, self._size) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except BaseException:
                os.ftruncate(self._file, self._size)
                raise
        self._size += len(line)

    def rows(self) -> Iterator[dict[str, Any]]:
        """The last line of each file, in the order of the files."""
        for line in self._last_lines():
            yield json.loads(line)

    def sort(self, drop: frozenset[str] = frozenset()) -> None:
        """Keep the last line of each file, in the order of the files, without those in ``drop``.

        Raises:
            OutputError: it cannot be written; the log is as it was.
        """
        write_file(self.path, self._last_lines(drop), scratch=self.path.parent / ".work")
        self.close()
        self._open()

    def _open(self) -> None:
        with reported(self.path):
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            self._size = self._last_whole_line()
            os.ftruncate(self._file, self._size)

    def _last_lines(self, drop: frozenset[str] = frozenset()) -> Iterator[bytes]:
        spans: dict[str, tuple[int, int]] = {}
        with self.path.open("rb") as file:
            start = 0
            for line in file:
                # A line that somebody else wrote is no row of ours.
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    spans[json.loads(line)["file"]] = (start, len(line))
                start += len(line)
            for name in sorted(spans.keys() - drop):
                file.seek(spans[name][0])
                yield file.read(spans[name][1])

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _last_whole_line(self) -> int:
        end = os.fstat(self._file).st_size
        while end:
            start = max(0, end - 65_536)
            at = os.pread(self._file, end - start, start).rfind(b"\n")
            if at >= 0:
                return start + at + 1
            end = start
        return 0


class OutputFolder:
    """A folder of results, held by one run at a time. A context manager.

    Raises:
        OutputError: it cannot be made or written, or another run is writing to it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.work = path / ".work"
        with reported(path):
            self.work.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.work / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise OutputError(
                f"{path}: another run is writing there; wait for it, or give another folder"
            ) from None
        with reported(path):
            for left in self.work.iterdir():
                if left.name != "lock":
                    left.unlink()
            (self.work / "reserve").write_bytes(bytes(RESERVE_BYTES))
        self.results = Log(path / "results.jsonl")
        self.failures = Log(path / "failures.jsonl")

    def free_reserve(self) -> None:
        """Give back the room that was set aside; the last files follow."""
        (self.work / "reserve").unlink(missing_ok=True)

    def __enter__(self) -> OutputFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.results.close()
        self.failures.close()
        shutil.rmtree(self.work, ignore_errors=True)
        os.close(self._lock)


def csv_rows(rows: Iterable[dict[str, Any]], labels: list[str]) -> Iterator[bytes]:
    """Rows of the log as CSV: one a recording, one column a label."""
    names = ["file", "id", "seconds", "emotion", "confidence", *labels, "warnings", "model",
             "provider", "result"]  # fmt: skip
    yield csv_row(names).encode()
    for row in rows:
        scores = row.get("scores") or {}
        values = {
            **row,
            **{label: f"{scores[label]:.6f}" for label in labels if label in scores},
            "seconds": f"{row['seconds']:.3f}",
            "confidence": f"{row['confidence']:.6f}",
            "warnings": " ".join(warning["code"] for warning in row["warnings"]),
        }
        yield csv_row(values.get(name, "") for name in names).encode()
