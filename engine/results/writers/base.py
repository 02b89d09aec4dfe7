"""The base of all writers, and the names of the formats."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
from collections.abc import Iterable, Iterator
from typing import IO, Any, Literal

from ..report import Report

Format = Literal["table", "json", "jsonl", "csv", "srt", "vtt", "textgrid", "audacity", "rttm"]


PIECES_AT_ONCE = 256


class Writer:
    """Writes reports to a text stream."""

    def __init__(self, out: IO[str], *, several: bool) -> None:
        self.out = out
        self.several = several
        """Whether more than one report may come."""
        self.count = 0

    def write(self, report: Report) -> None:
        """Write one report, and flush it; a file is left as it was where that does not succeed."""
        start = self.out.tell() if self.out.seekable() else None
        pieces = self.lines(report)
        try:
            while some := "".join(itertools.islice(pieces, PIECES_AT_ONCE)):
                self.out.write(some)
            self.out.flush()
        except BaseException:
            if start is not None:
                with contextlib.suppress(OSError):  # the first error says more
                    self.out.seek(start)
                    self.out.truncate()
            raise
        self.count += 1

    def lines(self, report: Report) -> Iterator[str]:
        """The text of one report."""
        raise NotImplementedError

    def close(self) -> None:
        """Complete the output."""


class SegmentWriter(Writer):
    """For one recording: its segments in a format of other tools."""

    suffix: str
    """Ending of such files, which their tools look for."""


def csv_row(values: Iterable[Any]) -> str:
    """One line of CSV."""
    row = io.StringIO()
    csv.writer(row, lineterminator="\n").writerow(values)
    return row.getvalue()
