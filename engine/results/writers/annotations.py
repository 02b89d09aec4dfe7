"""Annotations: Praat TextGrid, Audacity labels and RTTM."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..report import Report
from .base import SegmentWriter


class TextGridWriter(SegmentWriter):
    """A Praat TextGrid (long form) with one interval tier, ``emotion``."""

    suffix = ".TextGrid"

    def lines(self, report: Report) -> Iterator[str]:
        """The text of one report."""
        segments = report.segments()
        end = report.utterance.seconds
        yield 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n'
        yield f"xmin = 0\nxmax = {end:.6f}\ntiers? <exists>\nsize = 1\nitem []:\n"
        yield '    item [1]:\n        class = "IntervalTier"\n        name = "emotion"\n'
        yield f"        xmin = 0\n        xmax = {end:.6f}\n"
        yield f"        intervals: size = {len(segments)}\n"
        for number, s in enumerate(segments, 1):
            last = end if number == len(segments) else s.end  # the tier reaches the end of the clip
            text = s.emotion.replace('"', '""')
            yield f"        intervals [{number}]:\n            xmin = {s.start:.6f}\n"
            yield f'            xmax = {last:.6f}\n            text = "{text}"\n'


class AudacityWriter(SegmentWriter):
    """An Audacity label track."""

    suffix = ".labels.txt"

    def lines(self, report: Report) -> Iterator[str]:
        """The text of one report."""
        for s in report.segments():
            yield f"{s.start:.6f}\t{s.end:.6f}\t{s.emotion}\n"


class RttmWriter(SegmentWriter):
    """Rich Transcription Time Marked, with the emotion in the field of the speaker's name."""

    suffix = ".rttm"

    def lines(self, report: Report) -> Iterator[str]:
        """The text of one report."""
        file = "_".join(Path(report.file).stem.split()) or "-"
        for s in report.segments():
            emotion = "_".join(s.emotion.split())
            yield (
                f"SPEAKER {file} 1 {s.start:.3f} {s.end - s.start:.3f} <NA> <NA> {emotion} "
                f"{s.confidence:.4f} <NA>\n"
            )
