"""JSON and JSON lines."""

from __future__ import annotations

from collections.abc import Iterator

from ..report import Report, TurnReport, json_text
from .base import Writer


class JsonWriter(Writer):
    """One object, or an array of objects if several recordings were given."""

    def lines(self, report: Report | TurnReport) -> Iterator[str]:
        """The text of one report."""
        if self.several:
            yield ",\n" if self.count else "[\n"
        yield from json_text(report, indent=2)

    turn_lines = lines

    def close(self) -> None:
        """Close the array."""
        if self.several:
            self.out.write("\n]\n" if self.count else "[]\n")
        elif self.count:
            self.out.write("\n")
        self.out.flush()


class JsonLinesWriter(Writer):
    """One object on each line."""

    def lines(self, report: Report | TurnReport) -> Iterator[str]:
        """The text of one report."""
        yield from json_text(report)
        yield "\n"

    turn_lines = lines
