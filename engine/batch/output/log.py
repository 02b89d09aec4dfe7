"""The logs of a batch, which a run goes on from.

A log only grows, and is cut back to its last whole line when it is opened.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from ...files import printable, reported, write_file
from ..rows import Row, RowError, parse_line, row_line

WORK = ".work"
"""Name of the folder of files that are being written."""

MOST_LINE_BYTES = 64 << 20
"""Length of the longest line that can be a row: the turns of some days of speech."""

PIECE_BYTES = 1 << 20
"""Length of the pieces in which lines are copied."""

R = TypeVar("R", bound=Row)


class _Span(NamedTuple):
    """Bytes of a log, a row most often."""

    start: int
    length: int
    labels: tuple[str, ...] = ()
    """Labels of the row."""


class Log(Generic[R]):
    """A file of JSON lines that only grows; for each recording its last line counts.

    Args:
        path: the file; its folder holds ``.work``.
        parse: makes a row of an object, or raises RowError.

    Raises:
        OutputError: the file cannot be opened and written.
    """

    def __init__(self, path: Path, parse: Callable[[Mapping[str, Any]], R]) -> None:
        self.path = path
        self._parse = parse
        self._spans: dict[str, _Span] = {}
        """The last row of each recording, by its ``file``."""
        self._label_sets: dict[tuple[str, ...], tuple[str, ...]] = {}
        """The labels of rows, of which most have the same."""
        self.foreign_lines = 0
        """Number of lines that are no rows."""
        self._foreign: list[_Span] = []
        """Stretches of such lines."""
        with reported(path):
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                self._size = self._last_whole_line()
                os.ftruncate(self._file, self._size)
                self._index()
            except BaseException:
                os.close(self._file)
                raise

    @property
    def foreign_path(self) -> Path:
        """File that :meth:`sort` moves them to."""
        return self.path.with_name(f"{self.path.name}.foreign")

    @property
    def foreign_remark(self) -> str:
        """The number of foreign lines and their file, in words."""
        lines = "1 line" if self.foreign_lines == 1 else f"{self.foreign_lines} lines"
        place = printable(str(self.path))
        return f"{place}: {lines} not of a batch, moved to {self.foreign_path.name}"

    def __len__(self) -> int:
        """Number of recordings."""
        return len(self._spans)

    def append(self, row: R) -> None:
        """Add a row, or nothing.

        Raises:
            OutputError: it cannot be written.
        """
        line = row_line(row)
        written = 0
        with reported(self.path):
            try:
                while written < len(line):
                    written += os.pwrite(self._file, line[written:], self._size + written)
            except BaseException:
                os.ftruncate(self._file, self._size)
                raise
        self._note(row, self._size, len(line))
        self._size += len(line)

    def adopt(self, lines: Iterable[bytes]) -> None:
        """Add the rows among some lines, for recordings that have none here.

        Raises:
            OutputError: one cannot be written.
        """
        last: dict[str, R] = {}
        for line in lines:
            with contextlib.suppress(RowError):
                row = self._parse(parse_line(line))
                if row.file not in self._spans:
                    last[row.file] = row
        for row in last.values():
            self.append(row)

    def rows(self) -> Iterator[R]:
        """The last row of each recording, in the order of their files."""
        for name in sorted(self._spans):
            row = self.row(name)
            if row is not None:
                yield row

    def __contains__(self, name: str) -> bool:
        """True if the recording with this ``file`` has a row."""
        return name in self._spans

    def row(self, name: str) -> R | None:
        """The last row of the recording with this ``file``; None if it has none."""
        span = self._spans.get(name)
        if span is None:
            return None
        try:
            return self._parse(parse_line(self._read(span)))
        except RowError:  # somebody has changed the file meanwhile
            return None

    def labels(self) -> list[str]:
        """Labels of all rows, in the order of their first rows."""
        sets = dict.fromkeys(self._spans[name].labels for name in sorted(self._spans))
        return list(dict.fromkeys(itertools.chain.from_iterable(sets)))

    def sort(self, drop: frozenset[str] = frozenset()) -> None:
        """Keep the last row of each recording, in the order of their files.

        Args:
            drop: files whose rows are left out.

        Raises:
            OutputError: it cannot be written; the log is as it was.
        """
        if self._foreign:
            self._set_aside()
        names = sorted(self._spans.keys() - drop)
        self._replace(self.path, (self._read(self._spans[name]) for name in names))
        with reported(self.path):
            file = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        os.close(self._file)
        self._file = file
        self._size = 0
        old, self._spans = self._spans, {}
        for name in names:
            self._spans[name] = old[name]._replace(start=self._size)
            self._size += old[name].length
        self._foreign = []
        self.foreign_lines = 0

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _replace(self, path: Path, lines: Iterable[bytes]) -> None:
        write_file(path, lines, scratch=path.parent / WORK)

    def _note(self, row: R, start: int, length: int) -> None:
        labels = self._label_sets.setdefault(row.labels, row.labels)
        self._spans[row.file] = _Span(start, length, labels)

    def _read(self, span: _Span) -> bytes:
        with reported(self.path):
            return os.pread(self._file, span.length, span.start)

    def _index(self) -> None:
        start = 0
        with open(self._file, "rb", closefd=False) as file:
            while line := file.readline(MOST_LINE_BYTES):
                length = len(line)
                row: R | None = None
                if line.endswith(b"\n"):
                    with contextlib.suppress(RowError):
                        row = self._parse(parse_line(line))
                while line and not line.endswith(b"\n"):
                    line = file.readline(MOST_LINE_BYTES)
                    length += len(line)
                if row is None:
                    self.foreign_lines += 1
                    self._foreign.append(_Span(start, length))
                else:
                    self._note(row, start, length)
                start += length

    def _set_aside(self) -> None:
        """Add the foreign lines to their file, unless a run that was killed has just done so."""
        size = sum(span.length for span in self._foreign)
        with reported(self.foreign_path), self.foreign_path.open("a+b") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - size))
            if end >= size and all(file.read(len(piece)) == piece for piece in self._pieces()):
                return
            file.seek(0)
            old = iter(functools.partial(file.read, PIECE_BYTES), b"")
            self._replace(self.foreign_path, itertools.chain(old, self._pieces()))

    def _pieces(self) -> Iterator[bytes]:
        """The foreign lines, in pieces that fit the memory."""
        for span in self._foreign:
            end = span.start + span.length
            for start in range(span.start, end, PIECE_BYTES):
                yield self._read(_Span(start, min(PIECE_BYTES, end - start)))

    def _last_whole_line(self) -> int:
        end = os.fstat(self._file).st_size
        while end:
            start = max(0, end - 65_536)
            at = os.pread(self._file, end - start, start).rfind(b"\n")
            if at >= 0:
                return start + at + 1
            end = start
        return 0
