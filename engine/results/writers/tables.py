"""CSV for programs and a table for people."""

from __future__ import annotations

from collections.abc import Iterator

from ..report import Report
from .base import Writer, csv_row


class CsvWriter(Writer):
    """One row a recording or, with a timeline, one row a window."""

    def lines(self, report: Report) -> Iterator[str]:
        """The text of one report."""
        labels = list(report.utterance.scores)
        framed = report.timeline is not None
        if not self.count:
            span = ["start", "end"] if framed else ["seconds"]
            rest = [] if framed else ["warnings", "model", "provider"]
            yield csv_row(["file", *span, "emotion", "confidence", *labels, *rest])
        if report.timeline is not None:
            for window in report.timeline:
                scores = [f"{score:.6f}" for score in window.scores.values()]
                yield csv_row(
                    [report.file, window.start, window.end, window.emotion,
                     f"{window.confidence:.6f}", *scores]
                )  # fmt: skip
        else:
            u = report.utterance
            scores = [f"{score:.6f}" for score in u.scores.values()]
            warnings = " ".join(warning.code for warning in u.warnings)
            yield csv_row(
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


def _bar(share: float) -> str:
    return "█" * round(30 * share)
