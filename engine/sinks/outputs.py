"""All outputs of a stream together: windows, events, and the alerts that rules make of them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ..alerts.rules import Step, Watch
from ..streaming.events import StreamEvent
from ..streaming.stream import StreamWindow
from ..streaming.utterances import UtteranceEnd, UtteranceStart
from ..streaming.writers import WindowWriter
from .outbox import Message, Outbox, SinkReport, Tell

REPORT_SECONDS = 60.0
"""Seconds between two events that tell of the messages which a sink dropped."""


class Outputs:
    """Writes results, hands them to the sinks, and tells the user of what happened.

    Args:
        writer: writes to stdout.
        boxes: the sinks.
        watch: rules over the stream.
        source: name of the source.
        tell: receives messages for the user.
    """

    def __init__(
        self, writer: WindowWriter, boxes: Sequence[Outbox], watch: Watch, source: str, tell: Tell
    ) -> None:
        self._writer = writer
        self._boxes = boxes
        self._watch = watch
        self._source = source
        self._tell = tell
        self._reported = dict.fromkeys((box.name for box in boxes), 0)
        """Dropped messages of each sink, as far as they were told."""
        self._next_report = 0.0

    def put(self, result: StreamWindow | StreamEvent) -> None:
        """Write a result, and the alerts that it brings."""
        self._write(result)
        self._write_alerts(list(self._watch.feed(result)))
        if self._boxes and time.monotonic() >= self._next_report:
            now = result.end if isinstance(result, StreamWindow) else result.time
            for report in [box.report(now) for box in self._boxes]:
                if report.dropped > self._reported[report.sink]:
                    self._write_report(report)

    def end(self, seconds: float) -> None:
        """End the alerts at a time of the stream, and the sinks, with their counts."""
        try:
            self._write_alerts(list(self._watch.end(seconds)))
        finally:
            for box in self._boxes:
                box.close()
            for box in self._boxes:
                self._write_report(box.report(seconds))

    def _write(self, result: StreamWindow | StreamEvent) -> None:
        if self._boxes:
            message = Message.of(result, self._source)
            for box in self._boxes:
                box.put(message)
        if isinstance(result, StreamWindow):
            self._writer.write(result)
            return
        self._writer.write_event(result)
        if not isinstance(result, UtteranceStart | UtteranceEnd):
            self._tell(result.text())

    def _write_alerts(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if step.event is not None:
                self._write(step.event)

    def _write_report(self, report: SinkReport) -> None:
        self._reported[report.sink] = report.dropped
        self._next_report = time.monotonic() + REPORT_SECONDS
        self._tell(report.text())
        self._writer.write_event(report)
