"""Subtitles: SubRip and WebVTT."""

from __future__ import annotations

from collections.abc import Iterator

from ..report import Report, TurnReport
from ..types import Turn
from .base import SegmentWriter, one_line


class SrtWriter(SegmentWriter):
    """SubRip subtitles."""

    suffix = ".srt"

    def lines(self, report: Report) -> Iterator[str]:
        """The text of one report."""
        for number, s in enumerate(report.segments(), 1):
            span = f"{_clock(s.start, ',')} --> {_clock(s.end, ',')}"
            yield f"{number}\n{span}\n{s.emotion} ({s.confidence:.0%})\n\n"

    def turn_lines(self, report: TurnReport) -> Iterator[str]:
        """The text of one report on turns: speaker and emotion, and the words below."""
        for number, turn in enumerate(report.conversation, 1):
            span = f"{_clock(turn.start, ',')} --> {_clock(turn.end, ',')}"
            yield f"{number}\n{span}\n{_cue(turn)}\n\n"


class VttWriter(SegmentWriter):
    """WebVTT subtitles."""

    suffix = ".vtt"

    def lines(self, report: Report) -> Iterator[str]:
        """The text of one report."""
        yield "WEBVTT\n"
        for s in report.segments():
            span = f"{_clock(s.start, '.')} --> {_clock(s.end, '.')}"
            yield f"\n{span}\n{_escaped(s.emotion)} ({s.confidence:.0%})\n"

    def turn_lines(self, report: TurnReport) -> Iterator[str]:
        """The text of one report on turns: speaker and emotion, and the words below."""
        yield "WEBVTT\n"
        for turn in report.conversation:
            span = f"{_clock(turn.start, '.')} --> {_clock(turn.end, '.')}"
            yield f"\n{span}\n{_escaped(_cue(turn))}\n"


def _cue(turn: Turn) -> str:
    speaker = "" if turn.speaker is None else f"{one_line(turn.speaker)}: "
    said = "" if turn.text is None else f"\n{one_line(turn.text)}"
    return f"{speaker}{turn.emotion} ({turn.confidence:.0%}){said}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(1000 * seconds)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"
