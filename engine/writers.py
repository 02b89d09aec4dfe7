"""Results on their way out: for people, for programs, and for tools that show them beside sound.

A writer takes one :class:`Report` after the other and leaves well-formed output whenever it is
closed, so that what was computed before an interruption is not lost. Windows are written as they
are made: the text of a long timeline is never held.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from .errors import OptionError
from .results import Segment, Timeline, Utterance

Format = Literal["table", "json", "jsonl", "csv", "srt", "vtt", "textgrid", "audacity", "rttm"]

MIN_SEGMENT = 0.5
"""Seconds: a subtitle that is shorter cannot be read."""


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
    min_segment: float = MIN_SEGMENT
    """Seconds of the shortest segment in the formats that have segments."""

    def segments(self) -> list[Segment]:
        """Runs of one emotion.

        Raises:
            OptionError: there is no timeline.
        """
        if self.timeline is None:
            raise OptionError(f"{self.file}: this format needs a timeline (granularity frame)")
        return self.timeline.segments(self.min_segment)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form, with the field names that users of the original know.

        The windows, ``frames``, are left out: :func:`json_text` writes them one by one.
        """
        report: dict[str, Any] = {
            "file": self.file,
            "granularity": "utterance" if self.timeline is None else "frame",
            **self.utterance.to_dict(self.top),
        }
        if self.embedding is not None:
            report["embedding"] = self.embedding
        return report


def json_text(report: Report, indent: int | None = None) -> Iterator[str]:
    """A report as JSON text, in pieces; indented, each window still takes one line."""
    head = json.dumps(report.to_dict(), ensure_ascii=False, indent=indent)
    if report.timeline is None:
        yield head
        return
    outer, inner = ("\n" + " " * indent, "\n" + " " * 2 * indent) if indent else (" ", "")
    yield head[:-1].rstrip() + f',{outer}"frames": ['
    for number, window in enumerate(report.timeline):
        yield ("," if number else "") + (inner or (" " if number else ""))
        yield json.dumps(window.to_dict(), ensure_ascii=False)
    yield (outer if indent else "") + "]" + ("\n}" if indent else "}")


PIECES_AT_ONCE = 256


class Writer:
    """Writes reports to a text stream."""

    def __init__(self, out: IO[str], *, several: bool) -> None:
        self.out = out
        self.several = several
        """Whether more than one report may come."""
        self.count = 0

    def write(self, report: Report) -> None:
        """Write one report, and flush it; a file is left as it was where that does not succeed."""
        start = self.out.tell() if self.out.seekable() else None
        pieces = self.lines(report)
        try:
            while some := "".join(itertools.islice(pieces, PIECES_AT_ONCE)):
                self.out.write(some)
            self.out.flush()
        except BaseException:
            if start is not None:
                with contextlib.suppress(OSError):  # the first error says more
                    self.out.seek(start)
                    self.out.truncate()
            raise
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
        yield from json_text(report, indent=2)

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
        yield from json_text(report)
        yield "\n"


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


class SegmentWriter(Writer):
    """For one recording: its segments in a format of other tools."""

    suffix: str
    """Ending of such files, which their tools look for."""


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
    """A label track of Audacity."""

    suffix = ".labels.txt"

    def lines(self, report: Report) -> Iterator[str]:
        """The text of one report."""
        for s in report.segments():
            yield f"{s.start:.6f}\t{s.end:.6f}\t{s.emotion}\n"


class RttmWriter(SegmentWriter):
    """Rich Transcription Time Marked, with the emotion where a speaker's name would stand."""

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


SEGMENT_WRITERS: dict[Format, type[SegmentWriter]] = {
    "srt": SrtWriter,
    "vtt": VttWriter,
    "textgrid": TextGridWriter,
    "audacity": AudacityWriter,
    "rttm": RttmWriter,
}
WRITERS: dict[Format, type[Writer]] = {
    "table": TableWriter,
    "json": JsonWriter,
    "jsonl": JsonLinesWriter,
    "csv": CsvWriter,
    **SEGMENT_WRITERS,
}


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(1000 * seconds)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"


def _bar(share: float) -> str:
    return "█" * round(30 * share)


def csv_row(values: Iterable[Any]) -> str:
    """One line of CSV."""
    row = io.StringIO()
    csv.writer(row, lineterminator="\n").writerow(values)
    return row.getvalue()
