"""The report on one recording, which every output format is written from, and its JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import OptionError
from ..settings import SEGMENT_SECONDS, TOP, ReportSettings
from .encoding import Encoding
from .timeline import Timeline
from .types import Conversation, Segment, Utterance


@dataclass(frozen=True)
class Report:
    """The results for one recording that are told to the user."""

    file: str
    """Printable path of the recording."""
    utterance: Utterance
    timeline: Timeline | None = None
    """The windows, if the granularity is ``frame``."""
    top: int = TOP
    """Number of emotions listed, best first."""
    embedding: str | None = None
    """Printable path of the ``.npy`` that holds the embedding."""
    min_segment: float = SEGMENT_SECONDS
    """Seconds of the shortest segment, in the formats that have segments."""

    @classmethod
    def of(
        cls, encoding: Encoding, file: str, settings: ReportSettings, embedding: str | None = None
    ) -> Report:
        """Report on an encoded recording.

        Args:
            encoding: the recording.
            file: printable path of it.
            settings: contents of the report.
            embedding: printable path of the ``.npy``, if there is one.

        Raises:
            NoHeadError: the model gives embeddings only.
        """
        framed = settings.granularity == "frame"
        return cls(
            file=file,
            utterance=encoding.utterance(),
            timeline=encoding.timeline(settings.window, settings.hop) if framed else None,
            top=settings.top,
            embedding=embedding,
            min_segment=settings.min_segment,
        )

    def segments(self) -> list[Segment]:
        """Runs of windows with one emotion.

        Raises:
            OptionError: there is no timeline.
        """
        if self.timeline is None:
            raise OptionError(f"{self.file}: this format needs a timeline (granularity frame)")
        return self.timeline.segments(self.min_segment)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form, with the field names of the original emotion2vec.

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


@dataclass(frozen=True)
class TurnReport:
    """The turns of one recording that are told to the user.

    It has no emotion of the whole recording, which would take a second pass and say little.
    """

    file: str
    """Printable path of the recording."""
    conversation: Conversation
    embedding: str | None = None
    """Printable path of the ``.npy`` that holds the embeddings of the turns."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form. The turns are left out: :func:`json_text` writes them one by one."""
        report = {"file": self.file, "granularity": "turns", **self.conversation.to_dict()}
        if self.embedding is not None:
            report["embedding"] = self.embedding
        return report


def json_text(report: Report | TurnReport, indent: int | None = None) -> Iterator[str]:
    """A report as JSON, in pieces; with an indent, each window or turn still takes one line."""
    head = json.dumps(report.to_dict(), ensure_ascii=False, allow_nan=False, indent=indent)
    if isinstance(report, TurnReport):
        name, rows = "turns", (turn.to_dict() for turn in report.conversation)
    elif report.timeline is not None:
        name, rows = "frames", (window.to_dict() for window in report.timeline)
    else:
        yield head
        return
    outer, inner = ("\n" + " " * indent, "\n" + " " * 2 * indent) if indent else (" ", "")
    yield head[:-1].rstrip() + f',{outer}"{name}": ['
    for number, row in enumerate(rows):
        yield ("," if number else "") + (inner or (" " if number else ""))
        yield json.dumps(row, ensure_ascii=False, allow_nan=False)
    yield (outer if indent else "") + "]" + ("\n}" if indent else "}")
