"""Audio that comes by itself, from a pipe or a microphone, and does not wait for the model.

A thread takes in what arrives and notes when. Whoever works on it asks for all there is.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ..audio.riff import PcmFormat
from ..errors import AudioError

HELD_SECONDS = 10.0
"""So much may wait; then the sender does."""

SLACK_SECONDS = 2.0
"""By how much audio may be ahead of the clock and still come from somebody who speaks now."""


@dataclass(frozen=True)
class Piece:
    """Some audio, and when it came."""

    samples: NDArray[Any]
    """[samples, channels], of a dtype that :func:`~.audio.recording.load_audio` takes."""
    arrived: float
    """``time.perf_counter``."""


class CaptureBuffer:
    """What has arrived and was not yet taken.

    Args:
        rate: Hz.
        live: whether it comes as fast as time passes; None finds out.
    """

    def __init__(self, rate: int, live: bool | None = None) -> None:
        self.rate = rate
        self._live = live
        self._changed = threading.Condition()
        self._pieces: deque[Piece] = deque()
        self._waiting = 0
        self._received = 0
        self._began = 0.0
        self._ended = False
        self._error: BaseException | None = None
        self.source: Any = None
        """What is recorded by as long as it is held."""

    @property
    def live(self) -> bool:
        """Whether the audio is being spoken now, so that falling behind would have no end.

        A file that is piped in comes faster than time passes, and is in no hurry.
        """
        if self._live is not None:
            return self._live
        return time.perf_counter() - self._began > SLACK_SECONDS  # as long as it stays undecided

    def put(self, samples: NDArray[Any], *, wait: bool) -> None:
        """Add what arrived; to ``wait`` is to let the sender wait while too much is untaken."""
        now = time.perf_counter()
        with self._changed:
            while wait and self._waiting > HELD_SECONDS * self.rate and not self._ended:
                self._changed.wait()
            self._began = self._began or now
            self._received += len(samples)
            if (
                self._live is None
                and self._received / self.rate > now - self._began + SLACK_SECONDS
            ):
                self._live = False
            self._pieces.append(Piece(samples, now))
            self._waiting += len(samples)
            self._changed.notify_all()

    def end(self, error: BaseException | None = None) -> None:
        """Nothing more will arrive, perhaps for a reason."""
        with self._changed:
            self._ended = True
            self._error = self._error or error
            self._changed.notify_all()

    def take(self, timeout: float) -> list[Piece] | None:
        """All that has arrived, as soon as there is any; nothing after ``timeout`` seconds.

        Returns:
            the pieces, or None at the end.

        Raises:
            AudioError: what ended it, once everything before was taken.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._pieces or self._ended, timeout)
            pieces = list(self._pieces)
            self._pieces.clear()
            self._waiting = 0
            self._changed.notify_all()
            if pieces or not self._ended:
                return pieces
            if self._error is not None:
                raise self._error
            return None


def start_pipe(pipe: Any, format_: PcmFormat, head: bytes, arrivals: CaptureBuffer) -> None:
    """Take in the samples of a pipe, in a thread.

    Args:
        pipe: a binary file; its ``read1`` gives what there is.
        format_: how the samples lie in it.
        head: what was read of them already.
        arrivals: where they go.
    """

    def read() -> None:
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
                    arrivals.put(format_.decode(content[:whole]), wait=True)
        except OSError as error:
            raise AudioError(f"<stdin>: cannot be read: {error}") from None

    _start(read, arrivals)


def start_blocks(blocks: Iterator[NDArray[Any]], arrivals: CaptureBuffer) -> None:
    """Take in the blocks of a recording, in a thread."""

    def read() -> None:
        for block in blocks:
            arrivals.put(block, wait=True)

    _start(read, arrivals)


def _start(read: Callable[[], None], arrivals: CaptureBuffer) -> None:
    def run() -> None:
        try:
            read()
        except Exception as error:  # noqa: BLE001 - raised again where the audio is taken
            arrivals.end(error)
        else:
            arrivals.end()

    threading.Thread(target=run, daemon=True).start()
