"""The audio door: any file, bytes, stream or array → 16 kHz mono float32, or a clear error.

Decoding and resampling run in blocks, so what is held in memory is the 16 kHz mono result and one
block of the source.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .decoders import BLOCK_SECONDS, Reader, open_binary, open_reader
from .errors import AudioError, AudioTooShortError, InvalidSamplesError, UndecodableAudioError

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
    with contextlib.ExitStack() as stack:
        reader: Reader
        if isinstance(source, str | os.PathLike | bytes | bytearray) or hasattr(source, "read"):
            file, name = open_binary(source)
            stack.enter_context(file)
            reader = open_reader(file, name)
            stack.callback(reader.close)
        else:
            reader = _ArrayReader(source, rate)
        _check_header(reader, channel)
        blocks = list(_resampled(reader, channel))
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    if len(samples) < LEAST_SAMPLES:
        raise AudioTooShortError(
            f"{reader.name}: {len(samples)} samples at 16 kHz "
            f"({1000 * len(samples) / SAMPLE_RATE:.1f} ms); the model needs at least "
            f"{LEAST_SAMPLES} (25 ms)"
        )
    return Audio(samples, reader.name, reader.rate, reader.channels, reader.decoder)


class _ArrayReader(Reader):
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
        self.scale = _full_scale(array.dtype)
        self.rate = int(rate)
        self.channels = array.shape[1]

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        offset = 128 if self.array.dtype == np.uint8 else 0
        size = max(1, int(BLOCK_SECONDS * self.rate))
        for start in range(0, len(self.array), size):
            block = self.array[start : start + size].astype(np.float64)
            with np.errstate(over="ignore"):  # beyond float32 is infinite, and refused as such
                yield ((block - offset) / self.scale).astype(np.float32)


def _full_scale(dtype: np.dtype[Any]) -> float:
    scales = {"int16": 2.0**15, "int32": 2.0**31, "uint8": 2.0**7, "float32": 1.0, "float64": 1.0}
    if dtype.name not in scales:
        raise InvalidSamplesError(
            f"samples of dtype {dtype} are not taken; give one of {', '.join(scales)}"
        )
    return scales[dtype.name]


def _check_header(reader: Reader, channel: int | None) -> None:
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
    resampler = None
    if reader.rate != SAMPLE_RATE:
        import soxr

        resampler = soxr.ResampleStream(reader.rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
    done = 0
    for block in reader.blocks():
        with np.errstate(over="ignore", invalid="ignore"):  # refused below, with the place
            mono = block.mean(axis=1) if channel is None else block[:, channel]
        if not np.isfinite(mono).all():
            at = done + int(np.argmin(np.isfinite(mono)))
            raise InvalidSamplesError(
                f"{reader.name}: a sample at {at / reader.rate:.3f} s is NaN or infinite; "
                "repair the recording"
            )
        done += len(mono)
        mono = np.ascontiguousarray(mono, dtype=np.float32)
        yield mono if resampler is None else resampler.resample_chunk(mono)
    if resampler is not None:
        yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)
