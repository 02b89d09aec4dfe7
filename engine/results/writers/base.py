"""The base of all writers."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from ..report import Report, TurnReport

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

PIECES_AT_ONCE = 256
"""Pieces of text that are joined into one write."""


class Writer:
    """Writes reports to a text stream.

    Args:
        out: where the text goes.
        several: True if more than one report may come.
    """

    def __init__(self, out: TextIO, *, several: bool) -> None:
        self.out = out
        self.several = several
        self.count = 0
        """Reports that were written."""

    def write(self, report: Report | TurnReport) -> None:
        """Write one report and flush it; if that fails, a file ends after the report before."""
        start = self.out.tell() if self.out.seekable() else None
        count = self.count
        pieces = self.turn_lines(report) if isinstance(report, TurnReport) else self.lines(report)
        try:
            while some := "".join(itertools.islice(pieces, PIECES_AT_ONCE)):
                self.out.write(some)
            self.out.flush()
            self.count = count + 1
        except BaseException:
            if start is not None:
                self.count = count
                with contextlib.suppress(OSError):  # the first error says more
                    self.out.seek(start)
                    self.out.truncate()
            raise

    def lines(self, report: Report) -> Iterator[str]:
        """The text of one report."""
        raise NotImplementedError

    def turn_lines(self, report: TurnReport) -> Iterator[str]:
        """The text of one report on turns."""
        raise NotImplementedError

    def close(self) -> None:
        """Complete the output."""


class SegmentWriter(Writer):
    """Writes the segments of one recording in a format of another tool."""

    suffix: str
    """End of the file names that the tool looks for."""


def one_line(text: str) -> str:
    """A text of a file without line breaks, tabs and what else may steer a terminal."""
    return CONTROL.sub("", " ".join(text.split()))


def tame(text: str) -> str:
    """A text of a file without what may steer a terminal; its line breaks and tabs stay."""
    return CONTROL.sub(lambda match: match[0] if match[0] in "\n\t" else "", text)


def csv_row(values: Iterable[Any]) -> str:
    """One line of CSV."""
    row = io.StringIO()
    csv.writer(row, lineterminator="\n").writerow(values)
    return row.getvalue()
