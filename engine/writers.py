"""Results on their way out: a table for people, JSON, JSON lines and CSV for programs.

A writer takes one :class:`Report` after the other and leaves well-formed output whenever it is
closed, so that what was computed before an interruption is not lost.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Literal

from .results import Timeline, Utterance

Format = Literal["table", "json", "jsonl", "csv"]


@dataclass(frozen=True)
class Report:
    """Everything that is told about one recording."""

    file: str
    utterance: Utterance
    timeline: Timeline | None = None
    """The windows, where frames were asked for."""
    top: int = 3
    embedding: str | None = None
    """Path of the ``.npy`` that holds the embedding."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form, with the field names that users of the original know."""
        report: dict[str, Any] = {
            "file": self.file,
            "granularity": "utterance" if self.timeline is None else "frame",
            **self.utterance.to_dict(self.top),
        }
        if self.embedding is not None:
            report["embedding"] = self.embedding
        if self.timeline is not None:
            report["frames"] = [window.to_dict() for window in self.timeline]
        return report


class Writer:
    """Writes reports to a text stream."""

    def __init__(self, out: IO[str], *, several: bool) -> None:
        self.out = out
        self.several = several
        """Whether more than one report may come."""
        self.count = 0

    def write(self, report: Report) -> None:
        """Write one report, and flush it."""
        self.out.write("".join(self.lines(report)))
        self.out.flush()
        self.count += 1

    def lines(self, report: Report) -> Iterator[str]:
        """The text of one report."""
        raise NotImplementedError

    def close(self) -> None:
        """Complete the output."""


class JsonWriter(Writer):
    """One object, or an array of them where several recordings were given."""

    def lines(self, report: Report) -> Iterator[str]:
        """The text of one report."""
        if self.several:
            yield ",\n" if self.count else "[\n"
        yield json.dumps(report.to_dict(), ensure_ascii=False, indent=2)

    def close(self) -> None:
        """Close the array."""
        if self.several:
            self.out.write("\n]\n" if self.count else "[]\n")
        elif self.count:
            self.out.write("\n")
        self.out.flush()


class JsonLinesWriter(Writer):
    """One object a line."""

    def lines(self, report: Report) -> Iterator[str]:
        """The text of one report."""
        yield json.dumps(report.to_dict(), ensure_ascii=False) + "\n"


class CsvWriter(Writer):
    """One row a recording or, with a timeline, one row a window."""

    def lines(self, report: Report) -> Iterator[str]:
        """The text of one report."""
        labels = list(report.utterance.scores)
        framed = report.timeline is not None
        if not self.count:
            span = ["start", "end"] if framed else ["seconds"]
            rest = [] if framed else ["warnings", "model", "provider"]
            yield _csv_row(["file", *span, "emotion", "confidence", *labels, *rest])
        if report.timeline is not None:
            for window in report.timeline:
                scores = [f"{score:.6f}" for score in window.scores.values()]
                yield _csv_row(
                    [report.file, window.start, window.end, window.emotion,
                     f"{window.confidence:.6f}", *scores]
                )  # fmt: skip
        else:
            u = report.utterance
            scores = [f"{score:.6f}" for score in u.scores.values()]
            warnings = " ".join(warning.code for warning in u.warnings)
            yield _csv_row(
                [report.file, f"{u.seconds:.3f}", u.emotion, f"{u.confidence:.6f}", *scores,
                 warnings, u.model, u.provider]
            )  # fmt: skip


class TableWriter(Writer):
    """For reading: the best few emotions with bars, the segments of a timeline, the warnings."""

    def lines(self, report: Report) -> Iterator[str]:
        """The text of one report."""
        u = report.utterance
        if self.count:
            yield "\n"
        yield f"{report.file}  ({u.seconds:.2f} s)\n"
        for label, score in u.top(report.top):
            yield f"  {label:<10} {score:6.1%}  {_bar(score)}\n"
        if report.timeline is not None:
            yield f"  {'start':>8} {'end':>8}  emotion\n"
            for window in report.timeline:
                yield (
                    f"  {window.start:8.2f} {window.end:8.2f}  {window.emotion:<10} "
                    f"{window.confidence:6.1%}  {_bar(window.confidence)}\n"
                )
        for warning in u.warnings:
            yield f"  ! {warning.message}\n"


WRITERS: dict[Format, type[Writer]] = {
    "table": TableWriter,
    "json": JsonWriter,
    "jsonl": JsonLinesWriter,
    "csv": CsvWriter,
}


def _bar(share: float) -> str:
    return "█" * round(30 * share)


def _csv_row(values: list[Any]) -> str:
    row: list[str] = []

    class Collect:
        def write(self, text: str) -> int:
            row.append(text)
            return len(text)

    csv.writer(Collect(), lineterminator="\n").writerow(values)
    return "".join(row)
