"""Everything that is told about one recording, and its JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import OptionError
from ..settings import SEGMENT_SECONDS, TOP
from .timeline import Timeline
from .types import Segment, Utterance


@dataclass(frozen=True)
class Report:
    """Everything that is told about one recording."""

    file: str
    utterance: Utterance
    timeline: Timeline | None = None
    """The windows, where frames were asked for."""
    top: int = TOP
    embedding: str | None = None
    """Path of the ``.npy`` that holds the embedding."""
    min_segment: float = SEGMENT_SECONDS
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
