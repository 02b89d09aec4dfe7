"""Blocks at any rate and number of channels → mono at 16 kHz."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidSamplesError
from .types import LOUDEST, SAMPLE_RATE, Samples


class Converter:
    """Makes mono at 16 kHz of the blocks of one recording or stream.

    Args:
        name: of the recording, for messages.
        rate: sample rate of the blocks in Hz.
        channel: channel to take, from 0; None takes the mean of all.
    """

    def __init__(self, name: str, rate: int, channel: int | None) -> None:
        self.name = name
        self.rate = rate
        self.channel = channel
        self._frames = 0
        """Frames that were converted."""
        self._resampler: Any = None
        if rate != SAMPLE_RATE:
            import soxr

            self._resampler = soxr.ResampleStream(
                rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ"
            )

    def feed(self, block: NDArray[np.float32]) -> Samples:
        """Convert the next block: float32 [frames, channels] → float32 [samples].

        The resampler keeps some of the block until the next one, or :meth:`flush`.

        Raises:
            InvalidSamplesError: a sample is NaN, infinite or beyond :data:`LOUDEST`. The converter
                is as it was before, whatever the length of the block.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # refused below, with the position
            if self.channel is None and block.shape[1] > 1:
                mono = block.mean(axis=1)
            else:
                mono = block[:, self.channel or 0]
            levels = np.abs(mono)
            usable = levels.max(initial=0) <= LOUDEST  # not if it is NaN
        if not usable:
            first = int(np.argmin(levels <= LOUDEST))
            seconds = (self._frames + first) / self.rate
            found = "is NaN or infinite"
            if np.isfinite(mono[first]):
                found = f"is {mono[first]:g}, and {LOUDEST:g} is the most (full scale is 1)"
            raise InvalidSamplesError(
                f"{self.name}: a sample at {seconds:.3f} s {found}; repair the recording"
            )
        self._frames += len(mono)
        mono = np.ascontiguousarray(mono, dtype=np.float32)
        if self._resampler is None:
            return mono
        resampled: Samples = self._resampler.resample_chunk(mono)
        return resampled

    def flush(self) -> Samples:
        """End the audio: the samples that the resampler still holds, float32 [samples]."""
        if self._resampler is None:
            return np.zeros(0, np.float32)
        rest: Samples = self._resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        return rest
