"""Samples in memory → float32 samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InvalidSamplesError
from .readers import Reader
from .types import MOST_CHANNELS, DecoderName


class ArrayReader(Reader):
    """Samples in memory.

    Args:
        source: [frames] or [frames, channels]: int16, int32, uint8, float32 or float64.
        rate: sample rate in Hz.

    Raises:
        InvalidSamplesError: a dtype or shape that is not taken, or a rate that is no whole number.
    """

    decoder: DecoderName = "array"

    def __init__(self, source: ArrayLike, rate: int | None) -> None:
        if rate is None:
            raise InvalidSamplesError("samples need their rate in Hz: recognize(samples, 16000)")
        if isinstance(rate, bool) or not isinstance(rate, int | np.integer):
            raise InvalidSamplesError(f"the rate should be a whole number of Hz, found {rate!r}")
        try:
            array = np.asarray(source)
        except ValueError as error:
            raise InvalidSamplesError(f"not an array of samples: {error}") from None
        if array.ndim not in (1, 2):
            raise InvalidSamplesError(
                f"samples have shape {list(array.shape)}; give [samples] or [samples, channels]"
            )
        array = array.reshape(len(array), -1) if array.size else array.reshape(0, 1)
        if array.shape[1] > MOST_CHANNELS:
            raise InvalidSamplesError(
                f"samples have {array.shape[1]} channels, at most {MOST_CHANNELS} are taken; "
                "the channels come last: give samples.T"
            )
        _full_scale(array.dtype)
        seconds = len(array) / int(rate) if rate > 0 else None
        super().__init__("<samples>", int(rate), array.shape[1], seconds)
        self.array = array
        """[frames, channels], of the dtype given."""

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """As :meth:`Reader.blocks`."""
        size = self.block_frames
        for start in range(0, len(self.array), size):
            yield to_float(self.array[start : start + size])

    def close(self) -> None:
        """Let go of nothing: the samples are the caller's."""


def to_float(samples: NDArray[Any]) -> NDArray[np.float32]:
    """Samples of any dtype that is taken as float32 with full scale ±1, of the same shape.

    Raises:
        InvalidSamplesError: the dtype is not taken.
    """
    scale = _full_scale(samples.dtype)
    offset = 128 if samples.dtype == np.uint8 else 0
    with np.errstate(over="ignore"):  # beyond float32 is infinite, and refused as such
        return ((samples.astype(np.float64) - offset) / scale).astype(np.float32)


def _full_scale(dtype: np.dtype[Any]) -> float:
    scales = {"int16": 2.0**15, "int32": 2.0**31, "uint8": 2.0**7, "float32": 1.0, "float64": 1.0}
    if dtype.name not in scales:
        raise InvalidSamplesError(
            f"samples of dtype {dtype} are not taken; give one of {', '.join(scales)}"
        )
    return scales[dtype.name]
