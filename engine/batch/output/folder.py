"""The folder that a batch writes: whole files, and logs to go on from.

::

    OUT/
      results/PLACE.json      the report on one recording; .srt and the like beside it, if asked for
      embeddings/PLACE.npy    float32 [dim]
      results.jsonl           a line for each recording, written when it is done
      results.csv             the same as a table, made at the end
      turns.csv               a row for each turn, if results are made of turns
      results.parquet, turns.parquet  both as Parquet, if asked for
      failures.jsonl          a line for each recording without a result, with the reason
      summary.json            counts, speed, labels, confidence
      .work/                  files that are being written, and a lock

A file appears in its place by renaming, so a process that is killed at any moment leaves no
half-written one. Lines of the logs that are no rows of a batch are moved to
``results.jsonl.foreign``: they may be somebody's.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from ...errors import OutputError
from ...files import printable, read_regular, reported, try_lock, write_file
from ..outcome import Executor
from ..rows import FailureRow, ResultRow
from .log import WORK, Log

RESERVE_BYTES = 256 << 10
"""Bytes set aside, so that a disk that is full still takes the summary."""

MOST_READ_BYTES = 1 << 30
"""Size of the largest file that is read whole: the embeddings of the turns of some days."""

RESULT_TABLES = ("results.csv", "turns.csv", "results.parquet", "turns.parquet")
"""Tables that are made of the logs at the end."""


def unreadable(name: str, error: Exception) -> OutputError:
    """The error of a file of an output folder that cannot be read again."""
    reason = getattr(error, "strerror", None) or error
    return OutputError(f"{printable(name)}: cannot be read: {reason}")


def write_result(folder: Path, place: str, content: Iterable[bytes]) -> None:
    """Write a file of an output folder whole or not at all.

    Args:
        folder: path of the output folder, which a run holds.
        place: path of the file relative to it, with forward slashes.
        content: bytes of the file, in pieces.

    Raises:
        OutputError: it cannot be written.
    """
    target = folder / place
    with reported(target):
        if target.exists() and not target.is_file():
            raise FileExistsError(errno.EEXIST, "something that is no file is in the way")
    write_file(target, content, scratch=folder / WORK)


class OutputFolder:
    """A folder of results, held by one run at a time. A context manager.

    Args:
        path: the folder, which is made if it is not there.

    Raises:
        OutputError: it cannot be made or written, or another run is writing to it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.elsewhere: frozenset[str] = frozenset()
        """Places of reports that are kept, and not in the folder itself."""
        self.work = path / WORK
        with contextlib.ExitStack() as opened, reported(path):
            self.work.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.work / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            opened.callback(os.close, lock)
            if not try_lock(lock):
                raise OutputError(
                    f"{printable(str(path))}: another run is writing there; wait for it, or give "
                    "another folder"
                )
            opened.callback(shutil.rmtree, self.work, ignore_errors=True)
            for left in self.work.iterdir():
                if left.is_dir() and not left.is_symlink():
                    shutil.rmtree(left)
                elif left.name != "lock":
                    left.unlink()
            (self.work / "reserve").write_bytes(bytes(RESERVE_BYTES))
            self.results = Log(path / "results.jsonl", ResultRow.from_dict)
            opened.callback(self.results.close)
            self.failures = Log(path / "failures.jsonl", FailureRow.from_dict)
            opened.callback(self.failures.close)
            self._opened = opened.pop_all()

    def keeping(self, executor: Executor) -> Executor:
        """The executor, whose results are kept before their outcomes are told."""
        return executor

    def has(self, place: str) -> bool:
        """True if a report is kept, at its path relative to the folder."""
        return (self.path / place).is_file() or place in self.elsewhere

    def write(self, place: str, content: Iterable[bytes]) -> None:
        """Write a file whole or not at all.

        Args:
            place: path relative to the folder, with forward slashes.
            content: its bytes, in pieces.

        Raises:
            OutputError: it cannot be written.
        """
        write_result(self.path, place, content)

    def read(self, place: str) -> bytes | None:
        """Content of a file, at its path relative to the folder; None if there is none.

        Raises:
            OutputError: it cannot be read.
        """
        try:
            return read_regular(self.path / place, MOST_READ_BYTES)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise unreadable(str(self.path / place), error) from error

    def remove(self, place: str) -> None:
        """Remove a file, if it is there.

        Raises:
            OutputError: it cannot be removed.
        """
        with reported(self.path / place):
            (self.path / place).unlink(missing_ok=True)

    def free_reserve(self) -> None:
        """Give back the bytes that were set aside; the last file follows."""
        self.remove(f"{WORK}/reserve")

    def __enter__(self) -> OutputFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()
