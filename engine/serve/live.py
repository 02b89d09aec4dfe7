"""One live session: bytes that arrive → windows and utterances, in a thread of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ..audio.riff import PcmFormat
from ..audio.types import MOST_CHANNELS, RATES
from ..recognizer import Recognizer
from ..settings import (
    LEAST_RECORDING,
    LEAST_WINDOW,
    MOST_SECONDS,
    STREAM_HOP_SECONDS,
    STREAM_WINDOW_SECONDS,
    SampleFormat,
    check_stream_window,
)
from ..streaming.events import StreamEvent
from ..streaming.live import live_results
from ..streaming.sources.capture import CaptureBuffer
from ..streaming.stream import Stream, StreamWindow
from ..streaming.utterances import TurnStream, UtteranceEnd

WireFormat = Literal["s16", "f32"]
"""Samples as little-endian 16-bit integers or 32-bit floats, channels interleaved."""

SAMPLE_FORMATS: dict[WireFormat, SampleFormat] = {"s16": "s16le", "f32": "f32le"}


class LiveOptions(BaseModel):
    """Options of a live session; fields of ``session.update``."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rate: int = Field(16_000, ge=RATES[0], le=RATES[1])
    """Sample rate in Hz."""
    format: WireFormat = "s16"
    channels: int = Field(1, ge=1, le=MOST_CHANNELS)
    window: float = Field(STREAM_WINDOW_SECONDS, ge=LEAST_RECORDING, le=MOST_SECONDS)
    """Seconds of one window."""
    hop: float = Field(STREAM_HOP_SECONDS, ge=LEAST_WINDOW, le=MOST_SECONDS)
    """Seconds between the starts of two windows."""
    turns: Literal["vad"] | None = None
    """``vad`` to get the emotion of each utterance as well, beside the windows."""


@dataclass
class Totals:
    """Counts of a session."""

    seconds: float = 0.0
    """Seconds of audio."""
    windows: int = 0
    dropped: int = 0
    """Windows that were left out, to keep up."""
    utterances: int = 0

    def add(self, result: StreamWindow | StreamEvent) -> None:
        """Count a result."""
        if isinstance(result, StreamWindow):
            self.windows += 1
            self.dropped += result.skipped
        elif isinstance(result, UtteranceEnd):
            self.utterances += 1


class LiveSession:
    """The audio of one session and its results.

    Args:
        options: the options.
        longest: seconds of the longest window that the model takes.

    Raises:
        OptionError: the window is longer.
    """

    def __init__(self, options: LiveOptions, longest: float) -> None:
        check_stream_window(options.window, options.hop, longest)
        self.options = options
        self.totals = Totals()
        self._format = PcmFormat(options.rate, options.channels, SAMPLE_FORMATS[options.format])
        self._buffer = CaptureBuffer(options.rate)
        self._rest = b""

    @property
    def full(self) -> bool:
        """True while so much audio waits that the sender has to."""
        return self._buffer.full

    def put(self, content: bytes) -> None:
        """Take bytes of any number, but none while it is :attr:`full`."""
        content = self._rest + content
        whole = len(content) - len(content) % self._format.frame_bytes
        self._rest = content[whole:]
        if whole:
            self._buffer.put(self._format.decode(content[:whole]), wait=False)

    def end(self) -> None:
        """End the audio."""
        self._buffer.end()

    def results(self, recognizer: Recognizer) -> Iterator[StreamWindow | StreamEvent]:
        """Windows and events as they come, to the end of the audio; for one thread.

        Raises:
            InvalidSamplesError: a sample is not finite.
            NoHeadError: the model gives embeddings only.
            MissingExtraError: turns, and the detector of speech is not installed.
        """
        own = self.options
        stream: Stream | TurnStream
        if own.turns is None:
            stream = recognizer.stream(window=own.window, hop=own.hop, rate=own.rate)
        else:
            stream = recognizer.stream(
                window=own.window, hop=own.hop, rate=own.rate, turns=own.turns
            )
        for result in live_results(stream, self._buffer, own.hop, lambda _: None):
            self.totals.add(result)
            self.totals.seconds = stream.seconds
            yield result
        self.totals.seconds = stream.seconds
