"""Sources that are opened again whenever their audio stops."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Protocol

from ...audio.types import SAMPLE_RATE, Samples
from ...errors import (
    AudioError,
    AudioNotFoundError,
    InvalidSamplesError,
    NoAudioStreamError,
    UndecodableAudioError,
)
from .capture import CaptureBuffer, Lost, Restored, start_receiving

FIRST_DELAY = 0.5
"""Seconds until a source that was lost is opened again; twice as many after each failure."""
LONGEST_DELAY = 30.0
"""Seconds of the longest pause between two attempts."""

HOPELESS = (AudioNotFoundError, InvalidSamplesError, NoAudioStreamError, UndecodableAudioError)
"""Errors of a first connection that no waiting mends: a wrong address, or no audio."""


class LiveSource(Protocol):
    """Audio that can be connected to again and again."""

    name: str
    """Name for messages, without secrets."""
    endless: bool
    """True if audio that stops was lost; False if it may come to an end."""

    def connect(self) -> Iterator[Samples]:
        """Open it: float32 [samples], mono, 16 kHz, in blocks.

        Raises:
            AudioError: it cannot be opened, or its audio stopped.
        """
        ...

    def close(self) -> None:
        """End the present connection, from another thread, and open no other."""
        ...


def start_reconnecting(source: LiveSource, live: bool | None) -> CaptureBuffer:
    """Receive the audio of a source in a thread, and connect again whenever it stops.

    Args:
        source: opened in the thread.
        live: as of :class:`CaptureBuffer`; None takes an endless source for a live one.

    Returns:
        the buffer: audio, :class:`Lost` and :class:`Restored`. It ends with an error if the first
        connection fails for a reason that waiting does not mend, and without one if a source that
        is not endless comes to its end.
    """
    buffer = CaptureBuffer(SAMPLE_RATE, live, name=source.name)
    start_receiving(_Receiver(source, buffer).run, buffer, source.close)
    return buffer


class _Receiver:
    def __init__(self, source: LiveSource, buffer: CaptureBuffer) -> None:
        self._source = source
        self._buffer = buffer
        self._heard = False
        self._last = time.monotonic()
        """Time of the last audio."""
        self._told: str | None = None
        """Reason of the present gap that was told last; None while there is audio."""
        self._attempts = 0
        """Connections since the last audio."""

    def run(self) -> None:
        """Receive until no more audio is wanted, or there can be none."""
        while (reason := self._receive()) is not None:
            if reason != self._told:
                self._buffer.note(Lost(reason))
                self._told = reason
            delay = min(FIRST_DELAY * 2 ** max(0, self._attempts - 1), LONGEST_DELAY)
            if self._buffer.wait_for_end(delay):
                return

    def _receive(self) -> str | None:
        """Receive one connection; the reason why it was lost, or None for the end."""
        self._attempts += 1
        try:
            for block in self._source.connect():
                self._take(block)
        except AudioError as error:
            if not self._heard and isinstance(error, HOPELESS):
                raise
            return str(error).removeprefix(f"{self._source.name}: ")
        return "its audio ended" if self._source.endless else None

    def _take(self, block: Samples) -> None:
        if not len(block):  # held back by the resampler
            return
        if self._told is not None:
            gap = time.monotonic() - self._last - len(block) / SAMPLE_RATE
            self._buffer.note(Restored(max(gap, 0.0), self._attempts))
            self._told = None
        if not self._heard:
            self._buffer.decide(live=self._source.endless)
        self._heard, self._attempts = True, 0
        self._buffer.put(block, wait=True)
        self._last = time.monotonic()
