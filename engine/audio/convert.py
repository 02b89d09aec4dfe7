"""Blocks at any rate and number of channels → mono at 16 kHz."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidSamplesError
from .types import SAMPLE_RATE, Samples


class Converter:
    """Blocks of one recording, at its own rate and channels → mono at 16 kHz.

    Args:
        name: of the recording, for messages.
        rate: Hz, of the blocks.
        channel: channel to take, from 0; None takes the mean of all.
    """

    def __init__(self, name: str, rate: int, channel: int | None) -> None:
        self.name = name
        self.rate = rate
        self.channel = channel
        self._done = 0
        self._resampler: Any = None
        if rate != SAMPLE_RATE:
            import soxr

            self._resampler = soxr.ResampleStream(
                rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ"
            )

    def feed(self, block: NDArray[np.float32]) -> Samples:
        """What a block float32 [samples, channels] adds: float32 [samples].

        Raises:
            InvalidSamplesError: NaN or infinite samples; the block is as if it had never been.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # refused below, with the place
            mono = block.mean(axis=1) if self.channel is None else block[:, self.channel]
        if not np.isfinite(mono).all():
            at = self._done + int(np.argmin(np.isfinite(mono)))
            raise InvalidSamplesError(
                f"{self.name}: a sample at {at / self.rate:.3f} s is NaN or infinite; "
                "repair the recording"
            )
        self._done += len(mono)
        mono = np.ascontiguousarray(mono, dtype=np.float32)
        if self._resampler is None:
            return mono
        resampled: Samples = self._resampler.resample_chunk(mono)
        return resampled

    def flush(self) -> Samples:
        """What the resampler still holds: float32 [samples]."""
        if self._resampler is None:
            return np.zeros(0, np.float32)
        rest: Samples = self._resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        return rest
