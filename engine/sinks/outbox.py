"""A bounded queue of messages and the thread that delivers them, so that no stream ever waits."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Protocol

from ..streaming.events import StreamEvent
from ..streaming.stream import StreamWindow

MOST_WAITING = 1_000
"""Messages that wait; then windows make room first, the oldest ones, and then the oldest others."""

CLOSE_SECONDS = 5.0
"""Seconds that the messages have that still wait at the end."""


Tell = Callable[[str], None]
"""Receives messages for the user, from any thread."""


@dataclass(frozen=True)
class Message:
    """A window or an event, on its way to a sink."""

    event: str
    """Name of the event; ``window`` for a window."""
    source: str
    fields: dict[str, Any]
    at: str
    """Time of the message: ISO 8601, UTC."""

    @classmethod
    def of(cls, result: StreamWindow | StreamEvent, source: str) -> Message:
        """Make the message of a result."""
        event = result.event if isinstance(result, StreamEvent) else "window"
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        return cls(event, source, result.to_dict(), now.replace("+00:00", "Z"))

    def json(self) -> str:
        """The message as JSON, in which an event and a window have the same first fields."""
        fields = {"event": self.event, "source": self.source, "at": self.at, **self.fields}
        return json.dumps(fields, ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True)
class SinkReport(StreamEvent):
    """Counts of a sink, when it begins to drop messages, then each minute, and at the end."""

    event = "sink.report"

    sink: str
    """Address without secrets."""
    sent: int
    dropped: int
    """Messages that no room was left for, that were refused, or that no time was left for."""
    waiting: int

    def text(self) -> str:
        """The event in a line for people."""
        waiting = f", {self.waiting} waiting" if self.waiting else ""
        return f"{self.sink}: {self.sent} messages sent, {self.dropped} dropped{waiting}"


class Courier(Protocol):
    """A way to deliver messages, one at a time, in a thread of its own."""

    name: str
    """Address without secrets, for messages."""

    def wants(self, message: Message) -> bool:
        """True for a message that is to be delivered; the others are not counted."""
        ...

    def deliver(self, message: Message, stop: threading.Event) -> bool:
        """Deliver a message, for as long as it takes, or until ``stop`` is set.

        Returns:
            True once it was taken; False if it never will be.
        """
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class Outbox:
    """The messages of one sink.

    Args:
        courier: delivers them.
        most: messages that may wait.
    """

    def __init__(self, courier: Courier, most: int = MOST_WAITING) -> None:
        self.name = courier.name
        self._courier = courier
        self._most = most
        self._changed = threading.Condition()
        self._waiting: deque[Message] = deque()
        self._sent = self._dropped = self._under_way = 0
        self._closing = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        self._thread.start()

    def put(self, message: Message) -> None:
        """Add a message; never waits."""
        if not self._courier.wants(message):
            return
        with self._changed:
            self._waiting.append(message)
            if len(self._waiting) > self._most:
                windows = (message for message in self._waiting if message.event == "window")
                self._waiting.remove(next(windows, self._waiting[0]))
                self._dropped += 1
            self._changed.notify_all()

    def report(self, time_: float) -> SinkReport:
        """Numbers of messages so far, as an event at a time of the stream."""
        with self._changed:
            waiting = len(self._waiting) + self._under_way
            return SinkReport(time_, self.name, self._sent, self._dropped, waiting)

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Deliver what waits, for a while, and end; the rest counts as dropped."""
        end = time.monotonic() + seconds
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waiting and not self._under_way, seconds)
        self._stop.set()
        self._thread.join(max(0.1, end - time.monotonic()))
        self._courier.close()
        with self._changed:
            self._dropped += len(self._waiting) + self._under_way
            self._waiting.clear()
            self._under_way = 0

    def _run(self) -> None:
        while (message := self._next()) is not None:
            delivered = self._courier.deliver(message, self._stop)
            with self._changed:
                if self._under_way:  # else it was given up meanwhile
                    self._sent += delivered
                    self._dropped += not delivered
                    self._under_way = 0
                self._changed.notify_all()

    def _next(self) -> Message | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            if not self._waiting or self._stop.is_set():
                return None
            self._under_way = 1
            return self._waiting.popleft()
