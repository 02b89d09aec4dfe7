"""CSV for programs, and a table for people."""

from __future__ import annotations

from collections.abc import Iterator

from ...display import duration, share_bar
from ..report import Report, TurnReport
from ..types import SpeakerSummary
from .base import Writer, csv_row, one_line, tame

BAR_WIDTH = 30
"""Characters of the bar of a probability of 1."""


class CsvWriter(Writer):
    """One row for each recording, or for each window of its timeline, or for each of its turns."""

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

    def turn_lines(self, report: TurnReport) -> Iterator[str]:
        """The text of one report on turns."""
        if not self.count:
            yield csv_row(
                ["file", "start", "end", "speaker", "emotion", "confidence",
                 *report.conversation.labels, "warnings", "text"]
            )  # fmt: skip
        for turn in report.conversation:
            scores = [f"{score:.6f}" for score in turn.scores.values()]
            warnings = " ".join(warning.code for warning in turn.warnings)
            yield csv_row(
                [report.file, f"{turn.start:.3f}", f"{turn.end:.3f}",
                 tame(turn.speaker or ""), turn.emotion, f"{turn.confidence:.6f}", *scores,
                 warnings, tame(turn.text or "")]
            )  # fmt: skip


class TableWriter(Writer):
    """The best emotions with bars, the windows of the timeline or the turns, and the warnings."""

    def lines(self, report: Report) -> Iterator[str]:
        """The text of one report."""
        u = report.utterance
        if self.count:
            yield "\n"
        among = f"; among {', '.join(u.scores)}" if u.restricted else ""
        yield f"{report.file}  ({duration(u.seconds)}{among})\n"
        if u.emotion not in u.scores or u.scores[u.emotion] < u.confidence:
            yield f"  {u.emotion} is the answer, in place of the most probable labels:\n"
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

    def turn_lines(self, report: TurnReport) -> Iterator[str]:
        """The text of one report on turns, with a summary of each speaker."""
        conversation = report.conversation
        if self.count:
            yield "\n"
        count = f"{len(conversation)} turn{'' if len(conversation) == 1 else 's'}"
        among = f"; among {', '.join(conversation.labels)}" if conversation.restricted else ""
        yield f"{report.file}  ({duration(conversation.seconds)}, {count}{among})\n"
        width = max(
            len(one_line(name)) for name in ["speaker", *(t.speaker or "" for t in conversation)]
        )
        if conversation:
            yield f"  {'start':>8} {'end':>8}  {'speaker':<{width}}  emotion\n"
        for turn in conversation:
            codes = ", ".join(warning.code for warning in turn.warnings)
            yield (
                f"  {turn.start:8.2f} {turn.end:8.2f}  {one_line(turn.speaker or '-'):<{width}}  "
                f"{turn.emotion:<10} {turn.confidence:6.1%}{codes and f'  ! {codes}'}\n"
            )
            if turn.text is not None:
                yield f"{'':21}{one_line(turn.text)}\n"
        for summary in conversation.speakers():
            yield from _summary_lines(summary)
        for warning in conversation.warnings:
            yield f"  ! {warning.message}\n"


def _summary_lines(summary: SpeakerSummary) -> Iterator[str]:
    shares = ", ".join(f"{emotion} {share:.0%}" for emotion, share in summary.shares.items())
    yield f"  {one_line(summary.speaker)}: {duration(summary.seconds)} of speech: {shares}\n"
    if summary.strongest:
        moments = ", ".join(
            f"{turn.emotion} {turn.confidence:.0%} at {turn.start:.2f} s"
            for turn in summary.strongest
        )
        yield f"    strongest: {moments}\n"
