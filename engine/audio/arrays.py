"""Samples in memory → blocks of float32 samples, and the check of rate and channels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import AudioError, InvalidSamplesError, UndecodableAudioError
from .decoders import BLOCK_SECONDS, Reader
from .types import MOST_CHANNELS, RATES


class ArrayReader(Reader):
    """Samples in memory."""

    decoder = "array"
    name = "<samples>"

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
        self.array = array
        _full_scale(array.dtype)
        self.rate = int(rate)
        self.channels = array.shape[1]
        self.promised_seconds = len(array) / self.rate if self.rate > 0 else None

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """As :meth:`Reader.blocks`."""
        size = max(1, int(BLOCK_SECONDS * self.rate))
        for start in range(0, len(self.array), size):
            yield to_float(self.array[start : start + size])


def to_float(samples: NDArray[Any]) -> NDArray[np.float32]:
    """Samples of a dtype that is taken, at full scale ±1 in float32.

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


def check_header(reader: Reader, channel: int | None) -> None:
    """Refuse a rate, a number of channels or a channel that cannot be."""
    if not RATES[0] <= reader.rate <= RATES[1]:
        raise _header_error(
            reader, f"a sample rate of {reader.rate} Hz; {RATES[0]} to {RATES[1]} Hz are taken"
        )
    if not 1 <= reader.channels <= MOST_CHANNELS:
        raise _header_error(reader, f"{reader.channels} channels; 1 to {MOST_CHANNELS} are taken")
    if channel is not None and not 0 <= channel < reader.channels:
        raise InvalidSamplesError(
            f"{reader.name}: no channel {channel}; it has {reader.channels}, counted from 0"
        )


def _header_error(reader: Reader, what: str) -> AudioError:
    kind = InvalidSamplesError if reader.decoder == "array" else UndecodableAudioError
    return kind(f"{reader.name}: {what}")
