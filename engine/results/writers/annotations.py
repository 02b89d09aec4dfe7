"""Annotations: Praat TextGrid, Audacity labels and RTTM."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ..report import Report, TurnReport
from ..types import NOBODY, Turn
from .base import SegmentWriter, one_line


class TextGridWriter(SegmentWriter):
    """A Praat TextGrid (long form): one interval tier ``emotion``, or with turns one a speaker."""

    suffix = ".TextGrid"

    def lines(self, report: Report) -> Iterator[str]:
        """The text of one report."""
        segments = report.segments()
        end = report.utterance.seconds
        intervals = [(s.start, s.end, s.emotion) for s in segments]
        if segments:  # the tier reaches the end of the clip
            intervals[-1] = (segments[-1].start, end, segments[-1].emotion)
        yield from _grid({"emotion": intervals}, end)

    def turn_lines(self, report: TurnReport) -> Iterator[str]:
        """The text of one report on turns."""
        turns = report.conversation
        end = max([turns.seconds, *(turn.end for turn in turns)])
        tiers = {name: _without_gaps(own, end) for name, own in _tiers(turns).items()}
        yield from _grid(tiers or {"emotion": [(0.0, end, "")]}, end)


Interval = tuple[float, float, str]
"""Start and end in seconds, and a label."""


def _tiers(turns: Iterable[Turn]) -> dict[str, list[Turn]]:
    """Turns by speaker; no tier can hold those that overlap: they go to one named ``… (2)``."""
    tiers: dict[str, list[Turn]] = {}
    for turn in turns:
        speaker = name = one_line(turn.speaker or NOBODY)
        number = 1
        while name in tiers and tiers[name][-1].end > turn.start:
            number += 1
            name = f"{speaker} ({number})"
        tiers.setdefault(name, []).append(turn)
    return tiers


def _without_gaps(turns: Iterable[Turn], end: float) -> list[Interval]:
    """Intervals from 0 to the end, with empty ones between the turns, as Praat wants them."""
    intervals, at = [], 0.0
    for turn in turns:
        if f"{turn.start:.6f}" != f"{at:.6f}":
            intervals.append((at, turn.start, ""))
        intervals.append((turn.start, turn.end, turn.emotion))
        at = turn.end
    if f"{end:.6f}" != f"{at:.6f}":
        intervals.append((at, end, ""))
    return intervals


def _grid(tiers: dict[str, list[Interval]], end: float) -> Iterator[str]:
    yield 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n'
    yield f"xmin = 0\nxmax = {end:.6f}\ntiers? <exists>\nsize = {len(tiers)}\nitem []:\n"
    for index, (name, intervals) in enumerate(tiers.items(), 1):
        yield f'    item [{index}]:\n        class = "IntervalTier"\n'
        yield f'        name = "{_quoted(name)}"\n'
        yield f"        xmin = 0\n        xmax = {end:.6f}\n"
        yield f"        intervals: size = {len(intervals)}\n"
        for number, (first, last, label) in enumerate(intervals, 1):
            yield f"        intervals [{number}]:\n            xmin = {first:.6f}\n"
            yield f'            xmax = {last:.6f}\n            text = "{_quoted(label)}"\n'


def _quoted(text: str) -> str:
    return text.replace('"', '""')


class AudacityWriter(SegmentWriter):
    """An Audacity label track."""

    suffix = ".labels.txt"

    def lines(self, report: Report) -> Iterator[str]:
        """The text of one report."""
        for s in report.segments():
            yield f"{s.start:.6f}\t{s.end:.6f}\t{s.emotion}\n"

    def turn_lines(self, report: TurnReport) -> Iterator[str]:
        """The text of one report on turns."""
        for turn in report.conversation:
            speaker = "" if turn.speaker is None else f"{one_line(turn.speaker)}: "
            yield f"{turn.start:.6f}\t{turn.end:.6f}\t{speaker}{turn.emotion}\n"


class RttmWriter(SegmentWriter):
    """Rich Transcription Time Marked.

    A timeline has the emotion in the field of the speaker's name; turns have it in the orthography
    field, beside the speaker.
    """

    suffix = ".rttm"

    def lines(self, report: Report) -> Iterator[str]:
        """The text of one report."""
        for s in report.segments():
            yield _rttm_line(report.file, s.start, s.end, "<NA>", s.emotion, s.confidence)

    def turn_lines(self, report: TurnReport) -> Iterator[str]:
        """The text of one report on turns."""
        for turn in report.conversation:
            speaker = turn.speaker or NOBODY
            yield _rttm_line(
                report.file, turn.start, turn.end, turn.emotion, speaker, turn.confidence
            )


def _rttm_line(
    file: str, start: float, end: float, orthography: str, speaker: str, confidence: float
) -> str:
    name, orthography, speaker = (
        "_".join(one_line(text).split()) or "-" for text in (Path(file).stem, orthography, speaker)
    )
    return (
        f"SPEAKER {name} 1 {start:.3f} {end - start:.3f} {orthography} <NA> {speaker} "
        f"{confidence:.4f} <NA>\n"
    )
