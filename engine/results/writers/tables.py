"""CSV for programs, and a table for people."""

from __future__ import annotations

from collections.abc import Iterator

from ...display import duration, share_bar
from ..report import Report
from .base import Writer, csv_row

BAR_WIDTH = 30
"""Characters of the bar of a probability of 1."""


class CsvWriter(Writer):
    """One row for each recording or, with a timeline, for each window."""

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
    """The best emotions with bars, the windows of the timeline, and the warnings."""

    def lines(self, report: Report) -> Iterator[str]:
        """The text of one report."""
        u = report.utterance
        if self.count:
            yield "\n"
        yield f"{report.file}  ({duration(u.seconds)})\n"
        for label, score in u.top(report.top):
            yield f"  {label:<10} {score:6.1%}  {share_bar(score, BAR_WIDTH, self.out)}\n"
        if report.timeline is not None:
            yield f"  {'start':>8} {'end':>8}  emotion\n"
            for window in report.timeline:
                yield (
                    f"  {window.start:8.2f} {window.end:8.2f}  {window.emotion:<10} "
                    f"{window.confidence:6.1%}  "
                    f"{share_bar(window.confidence, BAR_WIDTH, self.out)}\n"
                )
        for warning in u.warnings:
            yield f"  ! {warning.message}\n"
