"""Recordings normalised for the encoder, in memory that does not grow with their length.

The waveform is normalised by the statistics of the WHOLE recording, so it is read twice: first to
measure it, then to encode it. Up to ``HELD_SECONDS`` of audio is kept in between instead. A pipe
that is longer passes only once: from there on it is normalised by the statistics so far.
"""

from __future__ import annotations

import itertools
import math
import time
import zlib
from collections.abc import Iterator
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import AudioError, UndecodableAudioError
from .meter import AudioWarning, Meter
from .recording import Recording, check_length
from .types import Samples

HELD_SECONDS = 60.0
"""Longest recording that is kept between the two readings."""

NORM_EPSILON = 1e-5
"""Added to the variance of the waveform, as by FunASR's ``F.layer_norm``."""

Normalization = Literal["whole", "running"]
"""Statistics used: those of the whole recording, or those of the audio read so far."""


def normalized(samples: Samples, mean: float, variance: float) -> Samples:
    """Samples at zero mean and unit variance: float32 [samples]."""
    scaled: Samples = ((samples - mean) / math.sqrt(variance + NORM_EPSILON)).astype("float32")
    return scaled


class SpeechListener(Protocol):
    """Hears a recording once, while it is measured, and knows where its speech is."""

    def add(self, block: Samples, /) -> None:
        """Hear the next block, float32 [samples], 16 kHz mono, not normalized."""

    def near(self, times: NDArray[np.float64], /) -> NDArray[np.bool_]:
        """True for each time, in seconds, that belongs to speech: bool [times]."""

    @property
    def spoken_seconds(self) -> float:
        """Seconds of speech so far."""

    @property
    def has_speech(self) -> bool:
        """True if the recording has the least speech that counts."""


class NormalizedRecording:
    """A recording that was measured, and can be read once for encoding.

    Args:
        recording: the open recording, which is closed with this object.
        normalize: give the model the waveform at zero mean and unit variance.
        listener: hears all of it; of a long pipe, each block before it is encoded.

    Raises:
        AudioError: the recording cannot be used.
    """

    def __init__(
        self,
        recording: Recording,
        *,
        normalize: bool = True,
        listener: SpeechListener | None = None,
    ) -> None:
        self.recording = recording
        self.normalize = normalize
        self.listener = listener
        self.meter = Meter()
        """Statistics of the audio read so far."""
        self.normalization: Normalization = "whole"
        self.decode_seconds = 0.0
        """Wall-clock seconds spent on reading and decoding."""
        self._held: list[Samples] | None = []
        """The audio read so far; None if it is too long, and is read again."""
        self._rest: Iterator[Samples] = iter(())
        """The audio after ``_held``, of a pipe."""
        self._interruption: AudioError | None = None
        """Error that ended a pipe early."""
        self._checksum = 0
        """CRC-32 of the audio, if it is read again."""
        blocks = self._timed(recording.blocks())
        for block in blocks:
            self._measure(block)
            if self._held is None:
                self._checksum = zlib.crc32(block.data, self._checksum)
                continue
            self._held.append(block)
            if self.meter.seconds > HELD_SECONDS:
                if not recording.rereadable:
                    self.normalization = "running"
                    self._rest = blocks
                    break
                for held in self._held:
                    self._checksum = zlib.crc32(held.data, self._checksum)
                self._held = None
        check_length(self.meter.count, recording.name)

    @property
    def seconds(self) -> float | None:
        """Length of the recording; None if it is not known until it was encoded."""
        return self.meter.seconds if self.normalization == "whole" else None

    def blocks(self) -> Iterator[Samples]:
        """The waveform for the model, once: float32 [samples], a few seconds each.

        Raises:
            AudioError: the file cannot be read again, or changed since it was measured.
        """
        if self._held is None:
            blocks = self._read_again()
        else:
            blocks = itertools.chain(self._held, self._running())
        for block in blocks:
            if self.normalize:
                yield normalized(block, self.meter.mean, self.meter.variance)
            else:
                yield block

    def warnings(self) -> tuple[AudioWarning, ...]:
        """Reasons why a result is less certain; complete after :meth:`blocks`."""
        warnings = list(self.meter.warnings())
        if self.recording.was_cut:
            message = f"only the first {self.meter.seconds:g} s were taken in (--max-seconds)"
            warnings.append(AudioWarning("cut", message))
        if self._interruption is not None:
            message = f"the result is of the audio before it broke off: {self._interruption}"
            warnings.append(AudioWarning("incomplete", message))
        return tuple(warnings)

    def close(self) -> None:
        """Close the recording."""
        self.recording.close()

    def _read_again(self) -> Iterator[Samples]:
        checksum = 0
        for block in self._timed(self.recording.blocks()):
            checksum = zlib.crc32(block.data, checksum)
            yield block
        if checksum != self._checksum:
            raise UndecodableAudioError(f"{self.recording.name}: changed while it was read")

    def _running(self) -> Iterator[Samples]:
        """The rest of a long pipe; if it breaks off, the audio before that still counts."""
        try:
            for block in self._rest:
                self._measure(block)
                yield block
        except AudioError as error:
            self._interruption = error

    def _measure(self, block: Samples) -> None:
        self.meter.add(block)
        if self.listener is not None:
            self.listener.add(block)

    def _timed(self, blocks: Iterator[Samples]) -> Iterator[Samples]:
        while True:
            started = time.perf_counter()
            block = next(blocks, None)
            self.decode_seconds += time.perf_counter() - started
            if block is None:
                return
            yield block
