"""Events of a stream: what happens beside its windows, in one form for every output.

In JSON an event is a mapping with a field ``event``, its name, which a window does not have.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from ..display import duration


@dataclass(frozen=True)
class StreamEvent:
    """Base of all events."""

    event: ClassVar[str]
    """Name of the kind of event."""

    time: float
    """Seconds from the start of the stream, as the times of its windows."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {"event": self.event, **asdict(self)}

    def text(self) -> str:
        """The event in a line for people."""
        raise NotImplementedError


@dataclass(frozen=True)
class SourceLost(StreamEvent):
    """The audio stopped without having come to its end; the source is opened again."""

    event = "source.lost"

    reason: str
    """Words of the system or of FFmpeg, without addresses."""

    def text(self) -> str:
        """The event in a line for people."""
        return f"the source was lost at {self.time:.1f} s: {self.reason}; opening it again"


@dataclass(frozen=True)
class SourceRestored(StreamEvent):
    """The audio goes on after a gap, by whose length the time of the stream advanced."""

    event = "source.restored"

    seconds: float
    """Length of the gap."""
    attempts: int
    """Times that the source was opened until audio came."""

    def text(self) -> str:
        """The event in a line for people."""
        return f"audio again at {self.time:.1f} s, after a gap of {duration(self.seconds)}"
