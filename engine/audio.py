"""The audio door: any file, bytes, stream or array → 16 kHz mono float32, or a clear error.

Decoding and resampling run in blocks: a :class:`Recording` holds no more than one of them, and
:func:`load_audio` joins them.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .decoders import BLOCK_SECONDS, Pipe, Reader, open_binary, open_reader
from .errors import (
    AudioError,
    AudioTooLongError,
    AudioTooShortError,
    InvalidSamplesError,
    OptionError,
    UndecodableAudioError,
)

Samples: TypeAlias = NDArray[np.float32]
"""float32 [samples], mono, 16 kHz unless a rate says otherwise; full scale is ±1."""

AudioSource: TypeAlias = "str | os.PathLike[str] | bytes | IO[bytes] | ArrayLike"
"""A path, the bytes of a file, an open binary file, or samples."""

SAMPLE_RATE = 16_000
LEAST_SAMPLES = 400
"""One receptive field of the model at 16 kHz: 25 ms."""

RATES = (1_000, 768_000)
"""Sample rates in Hz that are taken; anything else is a damaged header."""
MOST_CHANNELS = 64


@dataclass(frozen=True)
class Audio:
    """Decoded audio and where it came from."""

    samples: Samples
    """float32 [samples], 16 kHz mono."""
    name: str
    """The file's path, or what stands for it in messages."""
    source_rate: int
    """Hz, before resampling."""
    source_channels: int
    decoder: str
    """``libsndfile``, ``ffmpeg`` or ``array``."""

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.samples) / SAMPLE_RATE


def load_audio(
    source: AudioSource, rate: int | None = None, *, channel: int | None = None
) -> Audio:
    """Read a whole recording.

    Args:
        source: a path, the bytes of a file, an open binary file, or samples: int16, int32, uint8,
            float32 or float64, [samples] or [samples, channels].
        rate: sample rate in Hz; needed for samples, ignored for files, which say it themselves.
        channel: which channel to take, from 0; None takes the mean of all.

    Raises:
        AudioNotFoundError, UndecodableAudioError, NoAudioStreamError: the file cannot be read.
        TruncatedAudioError: it ends before its own header says.
        AudioTooShortError: fewer than 400 samples at 16 kHz.
        InvalidSamplesError: NaN or infinite samples; a dtype, shape or rate that is not taken.
    """
    with Recording(source, rate, channel=channel) as recording:
        blocks = list(recording.blocks())
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    check_length(len(samples), recording.name)
    return Audio(samples, recording.name, recording.rate, recording.channels, recording.decoder)


def check_length(samples: int, name: str) -> None:
    """Refuse a recording without even one frame.

    Raises:
        AudioTooShortError: fewer than 400 samples at 16 kHz.
    """
    if samples < LEAST_SAMPLES:
        raise AudioTooShortError(
            f"{name}: {samples} samples at 16 kHz ({1000 * samples / SAMPLE_RATE:.1f} ms); "
            f"the model needs at least {LEAST_SAMPLES} (25 ms)"
        )


class Recording:
    """An open recording: what its header says, and its sound in blocks. A context manager.

    Args:
        source: as for :func:`load_audio`.
        rate: sample rate in Hz, for samples.
        channel: channel to take, from 0; None takes the mean of all.
        max_seconds: how much is taken in; None takes all.
        cut: take the first ``max_seconds`` of a longer recording instead of refusing it.

    Raises:
        AudioError: as :func:`load_audio`.
        OptionError: ``max_seconds`` is not a positive number.
    """

    def __init__(
        self,
        source: AudioSource,
        rate: int | None = None,
        *,
        channel: int | None = None,
        max_seconds: float | None = None,
        cut: bool = False,
    ) -> None:
        if max_seconds is not None and not 0 < max_seconds < np.inf:
            raise OptionError(f"max_seconds is {max_seconds!r}; give a positive number of seconds")
        self.channel = channel
        self.max_seconds = max_seconds
        self.cut = cut
        self.was_cut = False
        """Whether a longer recording was cut."""
        self.rereadable = True
        """Whether :meth:`blocks` may be called again; False for a long pipe."""
        self._stack = contextlib.ExitStack()
        self._open: Callable[[], Reader]
        if isinstance(source, str | os.PathLike | bytes | bytearray) or hasattr(source, "read"):
            file, name = open_binary(source)
            self._stack.callback(file.close)
            self.rereadable = not isinstance(file, Pipe)
            self._open = functools.partial(open_reader, file, name)
        else:
            self._open = functools.partial(ArrayReader, source, rate)
        try:
            self._reader: Reader | None = self._open()
            self._stack.callback(self._reader.close)
            check_header(self._reader, channel)
        except BaseException:
            self.close()
            raise
        self.name = self._reader.name
        self.rate = self._reader.rate
        """Hz, of the source."""
        self.channels = self._reader.channels
        self.decoder = self._reader.decoder
        """``libsndfile``, ``ffmpeg`` or ``array``."""

    def blocks(self) -> Iterator[Samples]:
        """The sound from its start: float32 [samples], mono, 16 kHz, in blocks of a few seconds.

        Raises:
            AudioError: it cannot be decoded, holds NaN, is cut off, or is longer than allowed.
        """
        reader, self._reader = self._reader, None
        if reader is None:  # a decoder that was sought to its start need not give the same samples
            reader = self._open()
            self._stack.callback(reader.close)
        if self.max_seconds is None:
            yield from _resampled(reader, self.channel)
            return
        self._refuse_over(reader.promised_seconds or 0)
        left = round(self.max_seconds * SAMPLE_RATE)
        for block in _resampled(reader, self.channel):
            if len(block) > left:
                self._refuse_over(np.inf)
                self.was_cut = True
                yield block[:left]
                return
            left -= len(block)
            yield block

    def _refuse_over(self, seconds: float) -> None:
        if self.max_seconds is not None and seconds > self.max_seconds and not self.cut:
            length = f"{seconds:.0f} s long" if seconds < np.inf else "longer"
            raise AudioTooLongError(
                f"{self.name}: {length}, at most {self.max_seconds:g} s are taken; raise "
                "--max-seconds, or take its beginning with --cut"
            )

    def close(self) -> None:
        """Let go of the source."""
        self._stack.close()

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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


def _resampled(reader: Reader, channel: int | None) -> Iterator[Samples]:
    """Mono blocks at 16 kHz."""
    converter = Converter(reader.name, reader.rate, channel)
    for block in reader.blocks():
        yield converter.feed(block)
    yield converter.flush()


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
