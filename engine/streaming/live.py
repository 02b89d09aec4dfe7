"""Audio that arrives by itself → the windows and events of a stream, in order."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

from .events import SourceLost, SourceRestored, StreamEvent
from .sources.capture import Arrival, CaptureBuffer, Lost, Piece
from .stream import Stream, StreamWindow
from .utterances import TurnStream

STALL_SECONDS = 5.0
"""Seconds without audio after which the user is told."""
COMPLAINT_SECONDS = 60.0
"""Seconds between two messages about windows that were left out."""
CATCH_UP_SECONDS = 1.0
"""Seconds by which a live stream may be behind; then it leaves windows out."""


def live_results(
    stream: Stream | TurnStream,
    buffer: CaptureBuffer,
    hop: float,
    tell: Callable[[str], None],
    alive: Callable[[], None] = lambda: None,
) -> Iterator[StreamWindow | StreamEvent]:
    """Encode what arrives in a buffer, to its end.

    Args:
        stream: an open stream.
        buffer: audio for it.
        hop: seconds between the starts of two windows.
        tell: receives messages for the user: stalls, and windows that were left out.
        alive: called again and again, also while no audio comes; a watchdog's.

    Raises:
        AudioError: the audio ended with an error.
    """
    newest = max(1, math.ceil(CATCH_UP_SECONDS / hop))
    skipped, next_complaint = 0, 0.0
    for result in _results(stream, buffer, newest, tell, alive):
        if isinstance(result, StreamWindow):
            skipped += result.skipped
            if skipped and time.monotonic() >= next_complaint:
                tell(
                    f"{skipped} windows before {result.start:.1f} s were left out: this machine "
                    "does not keep up; give a longer --hop or a smaller model"
                )
                skipped, next_complaint = 0, time.monotonic() + COMPLAINT_SECONDS
        yield result


def _results(
    stream: Stream | TurnStream,
    buffer: CaptureBuffer,
    newest: int,
    tell: Callable[[str], None],
    alive: Callable[[], None],
) -> Iterator[StreamWindow | StreamEvent]:
    while (arrivals := _take(buffer, tell, alive)) is not None:
        for arrival in arrivals:
            if isinstance(arrival, Piece):
                stream.feed(arrival.samples, arrival.arrived)
            elif isinstance(arrival, Lost):
                yield from stream.ready(newest if buffer.live else None)
                yield from stream.gap(0)
                yield SourceLost(stream.seconds, arrival.reason)
            else:
                yield from stream.gap(arrival.seconds)
                yield SourceRestored(stream.seconds, arrival.seconds, arrival.attempts)
        yield from stream.ready(newest if buffer.live else None)
    yield from stream.flush()


def _take(
    buffer: CaptureBuffer, tell: Callable[[str], None], alive: Callable[[], None]
) -> list[Arrival] | None:
    """Take all that arrived; tells the user once if nothing comes for long."""
    stalled = False
    alive()
    while (arrivals := buffer.take(STALL_SECONDS)) is not None and not arrivals:
        if not stalled:
            tell(f"no audio for {STALL_SECONDS:g} s; waiting")
        stalled = True
        alive()
    if stalled:
        tell("audio again" if arrivals else "the audio ended")
    return arrivals
