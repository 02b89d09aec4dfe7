"""Subtitles: SubRip and WebVTT."""

from __future__ import annotations

from collections.abc import Iterator

from ..report import Report
from .base import SegmentWriter


class SrtWriter(SegmentWriter):
    """SubRip subtitles."""

    suffix = ".srt"

    def lines(self, report: Report) -> Iterator[str]:
        """The text of one report."""
        for number, s in enumerate(report.segments(), 1):
            span = f"{_clock(s.start, ',')} --> {_clock(s.end, ',')}"
            yield f"{number}\n{span}\n{s.emotion} ({s.confidence:.0%})\n\n"


class VttWriter(SegmentWriter):
    """WebVTT subtitles."""

    suffix = ".vtt"

    def lines(self, report: Report) -> Iterator[str]:
        """The text of one report."""
        yield "WEBVTT\n"
        for s in report.segments():
            emotion = s.emotion.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            span = f"{_clock(s.start, '.')} --> {_clock(s.end, '.')}"
            yield f"\n{span}\n{emotion} ({s.confidence:.0%})\n"


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(1000 * seconds)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"
