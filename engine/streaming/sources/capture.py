"""Audio that arrives by itself, from a pipe or a microphone, and does not wait for the model.

A thread receives it and notes the time. The consumer asks for all that there is.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from numpy.typing import NDArray

from ...audio.riff import PcmFormat
from ...errors import AudioError

HELD_SECONDS = 10.0
"""Seconds of audio that may wait in the buffer; then the sender has to."""

STOP_SECONDS = 2.0
"""Seconds that a sender gets to end."""

SLACK_SECONDS = 2.0
"""Seconds by which live audio may be ahead of the clock."""


@dataclass(frozen=True)
class Piece:
    """Some audio and the time of its arrival."""

    samples: NDArray[Any]
    """[samples, channels], of a dtype that :func:`~.audio.recording.load_audio` takes."""
    arrived: float
    """Time of :func:`time.perf_counter`."""


@dataclass(frozen=True)
class Lost:
    """The audio stopped, and its source is opened again."""

    reason: str


@dataclass(frozen=True)
class Restored:
    """The audio goes on."""

    seconds: float
    """Length of the gap."""
    attempts: int
    """Times that the source was opened until audio came."""


Arrival: TypeAlias = Piece | Lost | Restored
"""Audio, or what happened to its source between two pieces of it."""


class CaptureBuffer:
    """Audio that has arrived and was not yet taken. For one sender and one consumer.

    Args:
        rate: sample rate in Hz.
        live: True if the audio arrives as fast as time passes; None finds out.
        channel: channel to take of the samples, from 0; None takes the mean of all.
        name: of the source, without secrets.
    """

    def __init__(
        self,
        rate: int,
        live: bool | None = None,
        channel: int | None = None,
        name: str = "<stream>",
    ) -> None:
        self.name = name
        self.rate = rate
        self.channel = channel
        self._live = live
        self._changed = threading.Condition()
        self._arrivals: deque[Arrival] = deque()
        self._waiting = 0
        """Samples in the buffer."""
        self._received = 0
        """Samples since the start."""
        self._began = 0.0
        self._ended = False
        self._error: BaseException | None = None
        self._stop: Callable[[], None] | None = None
        self._thread: threading.Thread | None = None
        self.source: Any = None
        """Device that records as long as a reference to it is held."""

    @property
    def live(self) -> bool:
        """True if the audio is being spoken now, so that falling behind would have no end.

        A file that is piped in comes faster than time passes, and may wait.
        """
        if self._live is not None:
            return self._live
        return time.perf_counter() - self._began > SLACK_SECONDS  # undecided until then

    @property
    def full(self) -> bool:
        """True while so much audio waits that the sender has to."""
        return self._waiting > HELD_SECONDS * self.rate and not self._ended

    def decide(self, *, live: bool) -> None:
        """Say if the audio is live, where that was left to be found out."""
        if self._live is None:
            self._live = live

    def put(self, samples: NDArray[Any], *, wait: bool) -> None:
        """Add audio that arrived.

        Args:
            samples: [samples, channels].
            wait: block the sender while the buffer is full.
        """
        now = time.perf_counter()
        with self._changed:
            while wait and self.full:
                self._changed.wait()
            self._began = self._began or now
            self._received += len(samples)
            ahead = self._received / self.rate - (now - self._began)
            if self._live is None and ahead > SLACK_SECONDS:
                self._live = False
            self._arrivals.append(Piece(samples, now))
            self._waiting += len(samples)
            self._changed.notify_all()

    def note(self, arrival: Lost | Restored) -> None:
        """Add what happened to the source, in its place between the pieces of audio."""
        with self._changed:
            self._arrivals.append(arrival)
            if isinstance(arrival, Restored):  # the clock went on without audio
                self._received += round(arrival.seconds * self.rate)
            self._changed.notify_all()

    def end(self, error: BaseException | None = None) -> None:
        """End the audio; ``error`` is raised to the consumer once everything was taken."""
        with self._changed:
            self._ended = True
            self._error = self._error or error
            self._changed.notify_all()

    def stop_with(self, stop: Callable[[], None], thread: threading.Thread) -> None:
        """Call ``stop`` when no more audio is wanted, and wait for the thread that receives it."""
        self._stop = stop
        self._thread = thread

    def close(self) -> None:
        """Want no more audio: the sender ends, if it knows how to be told."""
        self.end()
        if self._stop is not None and self._thread is not None:
            self._stop()
            self._thread.join(STOP_SECONDS)

    def wait_for_end(self, seconds: float) -> bool:
        """Wait, in the thread that receives, until no more audio is wanted; True if so."""
        with self._changed:
            return self._changed.wait_for(lambda: self._ended, seconds)

    def take(self, timeout: float) -> list[Arrival] | None:
        """Take all that arrived, as soon as there is something; nothing after ``timeout`` seconds.

        Returns:
            what arrived, in order, or None at the end.

        Raises:
            AudioError: the reason why the audio ended.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._arrivals or self._ended, timeout)
            arrivals = list(self._arrivals)
            self._arrivals.clear()
            self._waiting = 0
            self._changed.notify_all()
            if arrivals or not self._ended:
                return arrivals
            if self._error is not None:
                raise self._error
            return None


def start_pipe(pipe: Any, format_: PcmFormat, head: bytes, buffer: CaptureBuffer) -> None:
    """Receive the samples of a pipe, in a thread.

    Args:
        pipe: a binary file; its ``read1`` returns the bytes that there are.
        format_: format of the samples.
        head: bytes that were read from the pipe before.
        buffer: receives the samples.
    """

    def receive() -> None:
        try:
            left = format_.length
            rest = head
            most = max(1, format_.rate // 10) * format_.frame_bytes
            while left is None or left > 0:
                content = rest + pipe.read1(most if left is None else min(most, left))
                if len(content) == len(rest):
                    break
                if left is not None:
                    left -= len(content) - len(rest)
                whole = len(content) - len(content) % format_.frame_bytes
                rest = content[whole:]
                if whole:
                    buffer.put(format_.decode(content[:whole]), wait=True)
        except OSError as error:
            raise AudioError(f"<stdin>: cannot be read: {error.strerror or error}") from None

    start_receiving(receive, buffer)


def start_blocks(blocks: Iterator[NDArray[Any]], buffer: CaptureBuffer) -> None:
    """Receive the blocks of a recording, in a thread."""

    def receive() -> None:
        for block in blocks:
            buffer.put(block, wait=True)

    start_receiving(receive, buffer)


def start_receiving(
    receive: Callable[[], None], buffer: CaptureBuffer, stop: Callable[[], None] | None = None
) -> None:
    """Run ``receive``, which fills the buffer, in a thread; its end or error ends the audio.

    Args:
        receive: returns at the end of the audio.
        buffer: filled by it.
        stop: makes ``receive`` return soon, from another thread; None if nothing can.
    """

    def run() -> None:
        try:
            receive()
        except Exception as error:  # noqa: BLE001 - raised again in the consumer
            buffer.end(error)
        else:
            buffer.end()

    thread = threading.Thread(target=run, daemon=True)
    if stop is not None:
        buffer.stop_with(stop, thread)
    thread.start()
