"""Windows of a stream as text, each written as soon as it is there."""

from __future__ import annotations

import json
from typing import Any, Literal, TextIO, get_args

from ..display import CLEAR_LINE, share_bar
from ..results.writers.base import csv_row
from .events import StreamEvent
from .stream import StreamWindow
from .utterances import UtteranceEnd, UtteranceStart

WindowFormat = Literal["line", "jsonl", "csv"]
"""A line of a terminal that changes, JSON lines, or CSV."""

WINDOW_FORMATS: tuple[WindowFormat, ...] = get_args(WindowFormat)

LINE_BAR = 20
"""Characters of the bar of a probability of 1, in the line of a terminal."""


class WindowWriter:
    """Writes windows as JSON lines, and is the base of the other formats.

    Args:
        out: where the text goes; it is flushed after each window.
    """

    def __init__(self, out: TextIO) -> None:
        self.out = out

    def write(self, window: StreamWindow) -> None:
        """Write one window."""
        self.out.write(self.text(window))
        self.out.flush()

    def text(self, window: StreamWindow) -> str:
        """Text of one window."""
        return _json_line(window.to_dict())

    def write_event(self, event: StreamEvent) -> None:
        """Write an event, in a format that has a place for it."""
        self.out.write(_json_line(event.to_dict()))
        self.out.flush()

    def close(self) -> None:
        """Complete the output."""


class CsvWindowWriter(WindowWriter):
    """Writes a header, and a row for each window and utterance; others have no place in it."""

    def __init__(self, out: TextIO) -> None:
        super().__init__(out)
        self._begun = False

    def write_event(self, event: StreamEvent) -> None:
        """Write the row of an utterance at its end."""
        if isinstance(event, UtteranceEnd):
            self.out.write(self._row(event, silent=False, skipped=0))
            self.out.flush()

    def text(self, window: StreamWindow) -> str:
        """Text of one window."""
        return self._row(window, silent=window.silent, skipped=window.skipped)

    def _row(self, result: StreamWindow | UtteranceEnd, *, silent: bool, skipped: int) -> str:
        header = ""
        if not self._begun:
            header = csv_row(["event", "start", "end", "emotion", "confidence", *result.scores,
                              "silent", "skipped", "latency"])  # fmt: skip
        self._begun = True
        kind = "window" if isinstance(result, StreamWindow) else result.event
        scores = [f"{score:.6f}" for score in result.scores.values()]
        return header + csv_row(
            [kind, f"{result.start:.3f}", f"{result.end:.3f}", result.emotion,
             f"{result.confidence:.6f}", *scores, silent, skipped, f"{result.latency:.4f}"]
        )  # fmt: skip


class LineWindowWriter(WindowWriter):
    """Writes one line of a terminal, which changes with each window, below those of utterances."""

    def text(self, window: StreamWindow) -> str:
        """Text of one window."""
        shown = "(silence)"
        if not window.silent:
            ranked = sorted(window.scores.items(), key=lambda item: -item[1])[:3]
            others = ", ".join(f"{label} {score:.0%}" for label, score in ranked[1:])
            bar = share_bar(window.confidence, LINE_BAR, self.out)
            shown = f"{window.emotion:<10} {window.confidence:4.0%} {bar:<{LINE_BAR}} ({others})"
        return f"{CLEAR_LINE}{window.end:8.1f} s  {shown}"

    def write_event(self, event: StreamEvent) -> None:
        """Put an utterance above the line, or clear it for a message."""
        if isinstance(event, UtteranceStart):
            return
        self.out.write(CLEAR_LINE)
        if isinstance(event, UtteranceEnd):
            self.out.write(f"{event.text()}\n")
        self.out.flush()

    def close(self) -> None:
        """End the line."""
        self.out.write("\n")
        self.out.flush()


def _json_line(values: dict[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n"


WINDOW_WRITERS: dict[WindowFormat, type[WindowWriter]] = {
    "line": LineWindowWriter,
    "jsonl": WindowWriter,
    "csv": CsvWindowWriter,
}
