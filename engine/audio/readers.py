"""Readers: audio in blocks, at its own rate and number of channels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import (
    AudioError,
    InvalidSamplesError,
    OptionError,
    TruncatedAudioError,
    UndecodableAudioError,
)
from .ffmpeg_worker import block_frames
from .types import MOST_CHANNELS, RATES, DecoderName

BLOCK_SECONDS = 4.0
SLACK_SECONDS = 0.1
"""Seconds by which a file may fall short of its header: encoder delay, a last partial block."""
BLOCK_VALUES = 1 << 21
"""Values (frames × channels) of a block: at 64 channels and 768 kHz 4 s would be 786 MB."""


class Reader(ABC):
    """An open recording.

    Args:
        name: for messages.
        rate: sample rate in Hz.
        channels: number of channels.
        promised_seconds: length that the header states; None if it does not.
    """

    decoder: DecoderName

    def __init__(self, name: str, rate: int, channels: int, promised_seconds: float | None) -> None:
        self.name = name
        self.rate = rate
        self.channels = channels
        self.promised_seconds = promised_seconds

    @property
    def block_frames(self) -> int:
        """Most frames of one block."""
        return block_frames(self.rate, self.channels, BLOCK_SECONDS, BLOCK_VALUES)

    @abstractmethod
    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """The audio in order: float32 [frames, channels], at most ``block_frames`` each.

        Raises:
            AudioError: it cannot be read or decoded.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the source."""


class DecodingError(Exception):
    """A library cannot decode a file; the message is its own words."""


class FileReader(Reader):
    """A file that a library decodes.

    Args:
        slack_seconds: seconds by which the audio may be shorter than the header states.
    """

    def __init__(
        self,
        name: str,
        rate: int,
        channels: int,
        promised_seconds: float | None,
        slack_seconds: float = SLACK_SECONDS,
    ) -> None:
        super().__init__(name, rate, channels, promised_seconds)
        self.slack_seconds = slack_seconds

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """As :meth:`Reader.blocks`."""
        done = 0
        try:
            for block in self._decode():
                done += len(block)
                yield block
        except DecodingError as error:
            raise UndecodableAudioError(
                f"{self.name}: cannot be decoded after {done / self.rate:.2f} s: {error}"
            ) from error.__cause__
        promised = self.promised_seconds
        if promised is not None and done / self.rate < promised - self.slack_seconds:
            raise TruncatedAudioError(
                f"{self.name}: ends after {done / self.rate:.2f} s where its header promises "
                f"{promised:.2f} s; the file is cut off, get a whole copy"
            )

    @abstractmethod
    def _decode(self) -> Iterator[NDArray[np.float32]]:
        """The audio in order, as :meth:`blocks`.

        Raises:
            AudioReadError: the operating system fails to read the file.
            DecodingError: the library fails, for any other reason.
        """


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
        """Close nothing: the samples are the caller's."""


def to_float(samples: NDArray[Any]) -> NDArray[np.float32]:
    """Samples of any dtype that is taken as float32 with full scale ±1, of the same shape.

    Raises:
        InvalidSamplesError: the dtype is not taken.
    """
    scale = _full_scale(samples.dtype)
    if samples.dtype == np.float32:
        return samples.astype(np.float32)  # a copy: the caller may use the array again
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
    """Refuse a rate, a number of channels or a channel that cannot be.

    Raises:
        InvalidSamplesError, UndecodableAudioError: rate or channels of samples, or of a file.
        OptionError: the channel is not a whole number.
    """
    if not RATES[0] <= reader.rate <= RATES[1]:
        raise _header_error(
            reader, f"a sample rate of {reader.rate} Hz; {RATES[0]} to {RATES[1]} Hz are taken"
        )
    if not 1 <= reader.channels <= MOST_CHANNELS:
        raise _header_error(reader, f"{reader.channels} channels; 1 to {MOST_CHANNELS} are taken")
    if channel is None:
        return
    if isinstance(channel, bool) or not isinstance(channel, int | np.integer):
        raise OptionError(f"channel is {channel!r}; give a whole number from 0, or None")
    if not 0 <= channel < reader.channels:
        raise InvalidSamplesError(
            f"{reader.name}: no channel {channel}; it has {reader.channels}, counted from 0"
        )


def _header_error(reader: Reader, problem: str) -> AudioError:
    kind = InvalidSamplesError if reader.decoder == "array" else UndecodableAudioError
    return kind(f"{reader.name}: {problem}")
