"""Headers of WAV and AIFF, read forwards only, so that a pipe will do; and raw PCM after them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import AudioReadError, UndecodableAudioError
from ..settings import SampleFormat
from .ffmpeg_worker import SeekableFile
from .types import MOST_CHANNELS, RATES

SAMPLE_BYTES: dict[SampleFormat, int] = {"s16le": 2, "s24le": 3, "s32le": 4, "f32le": 4, "u8": 1}


@dataclass(frozen=True)
class PcmFormat:
    """Layout of interleaved samples in a pipe."""

    rate: int
    """Sample rate in Hz."""
    channels: int = 1
    sample_format: SampleFormat = "s16le"
    length: int | None = None
    """Bytes of samples that follow; None: until the pipe ends."""

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame, which is one sample of every channel."""
        return self.channels * SAMPLE_BYTES[self.sample_format]

    def decode(self, content: bytes) -> NDArray[Any]:
        """Bytes of whole frames → [samples, channels]."""
        if self.sample_format == "s24le":
            # The three bytes become the upper ones of an int32, which keeps sign and full scale.
            wide = np.zeros((len(content) // 3, 4), np.uint8)
            wide[:, 1:] = np.frombuffer(content, np.uint8).reshape(-1, 3)
            samples: NDArray[Any] = wide.view("<i4")[:, 0]
        else:
            dtypes = {"s16le": "<i2", "s32le": "<i4", "f32le": "<f4", "u8": "u1"}
            samples = np.frombuffer(content, dtypes[self.sample_format])
        return samples.reshape(-1, self.channels)


PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
"""WAVE_FORMAT_PCM, WAVE_FORMAT_IEEE_FLOAT and WAVE_FORMAT_EXTENSIBLE."""

UNKNOWN_LENGTH = 0x7FFF_F000
"""A length of samples from here on, or of 0, is that of a writer who could not know it."""

MOST_CHUNKS = 1_000
MOST_KEPT_BYTES = 64
"""Bytes of a format chunk that are kept; the longest format has 40."""
MOST_SKIPPED_BYTES = 64 << 20
"""Bytes before the samples in a pipe; tags and pictures take a few MB."""
SKIP_BYTES = 1 << 16

USE_FFMPEG = "ffmpeg -i … -f s16le -ar 16000 -ac 1 - | e2v stream - --rate 16000"


class Readable(Protocol):
    """A binary file or pipe."""

    def read(self, size: int, /) -> bytes:
        """Read at most ``size`` bytes; none at the end."""
        ...


@dataclass(frozen=True)
class ContainerHeader:
    """The chunks before the samples of a WAV or AIFF."""

    form: Literal["WAVE", "AIFF"]
    format: bytes = b""
    """Start of the ``fmt`` or ``COMM`` chunk; empty if there is none."""
    data_bytes: int | None = None
    """Bytes of samples; None if the writer did not know."""
    at_samples: bool = False
    """True if the file was read up to the samples of a WAV."""

    @property
    def codec(self) -> int:
        """Format tag of a WAV; of an extensible one that at the start of its GUID."""
        tag = self._number(0, 2)
        return self._number(24, 2) if tag == EXTENSIBLE else tag

    @property
    def channels(self) -> int:
        """Channels of a WAV."""
        return self._number(2, 2)

    @property
    def rate(self) -> int:
        """Sample rate of a WAV in Hz."""
        return self._number(4, 4)

    @property
    def bits(self) -> int:
        """Bits of one sample of a WAV."""
        return self._number(14, 2)

    @property
    def frames(self) -> int | None:
        """Frames that the header promises; None if it does not say."""
        if self.form == "AIFF":
            return int.from_bytes(self.format[2:6], "big") or None
        frame_bytes = self._number(12, 2)  # of a block, which is one frame in plain samples alone
        if self._number(0, 2) in (PCM, FLOAT, EXTENSIBLE) and frame_bytes and self.data_bytes:
            return self.data_bytes // frame_bytes
        return None

    def _number(self, start: int, size: int) -> int:
        return int.from_bytes(self.format[start : start + size], "little")


def read_header(file: Readable, skip: Callable[[int], bool]) -> ContainerHeader | bytes:
    """Read a WAV up to its samples, or an AIFF up to the end of its ``COMM`` chunk.

    Args:
        file: a file at its start.
        skip: passes over a number of bytes of it; False if there are fewer.

    Returns:
        the header, or the bytes that were read where this is neither WAV nor AIFF.
    """
    start = read_exactly(file, 12)
    form: Literal["WAVE", "AIFF"]
    if start[:4] + start[8:] == b"RIFFWAVE":
        form = "WAVE"
    elif start[:4] + start[8:] in (b"FORMAIFF", b"FORMAIFC"):
        form = "AIFF"
    else:
        return start
    format_ = b""
    for _ in range(MOST_CHUNKS):
        chunk = read_exactly(file, 8)
        length = int.from_bytes(chunk[4:], "little" if form == "WAVE" else "big")
        if chunk[:4] == b"data":
            known = 0 < length < UNKNOWN_LENGTH
            return ContainerHeader(form, format_, length if known else None, at_samples=True)
        kept = 0
        if chunk[:4] in (b"fmt ", b"COMM"):
            format_ = read_exactly(file, min(length, MOST_KEPT_BYTES))
            kept = len(format_)
        if len(chunk) < 8 or chunk[:4] == b"COMM" or not skip(length + length % 2 - kept):
            break
    return ContainerHeader(form, format_)


def promised_frames(file: SeekableFile) -> int | None:
    """Frames that a WAV or AIFF header promises; libsndfile cuts them down to those present.

    Args:
        file: a file, which is at its start afterwards.

    Returns:
        the frames; None if it is neither WAV nor AIFF, or the writer did not know.
    """
    file.seek(0)
    header = read_header(file, lambda count: file.seek(count, os.SEEK_CUR) <= file.size)
    file.seek(0)
    return header.frames if isinstance(header, ContainerHeader) else None


def read_wav_header(pipe: Readable, name: str = "<stdin>") -> PcmFormat | bytes:
    """Read the header of a WAV in a pipe, which is at its first sample afterwards.

    Args:
        pipe: a pipe at its start.
        name: of the pipe, for messages.

    Returns:
        the format of the samples, or the bytes that were read where this is no WAV.

    Raises:
        AudioReadError: the pipe cannot be read.
        UndecodableAudioError: the WAV is damaged, or does not hold plain samples.
    """
    skipped = 0

    def skip(count: int) -> bool:
        nonlocal skipped
        skipped += count
        if skipped > MOST_SKIPPED_BYTES:
            raise UndecodableAudioError(
                f"{name}: a WAV with {skipped} bytes before its samples, at most "
                f"{MOST_SKIPPED_BYTES} are taken; send the samples alone: {USE_FFMPEG}"
            )
        while count and (piece := pipe.read(min(count, SKIP_BYTES))):
            count -= len(piece)
        return not count

    try:
        header = read_header(pipe, skip)
    except OSError as error:
        raise AudioReadError(f"{name}: cannot be read: {error.strerror or error}") from None
    if isinstance(header, bytes):
        return header
    if header.form == "AIFF":
        raise UndecodableAudioError(f"{name}: an AIFF; WAV or raw samples are taken: {USE_FFMPEG}")
    if not header.at_samples:
        raise UndecodableAudioError(
            f"{name}: a WAV that ends before its samples, or has {MOST_CHUNKS} chunks before them"
        )
    return _pcm_format(header, name)


def _pcm_format(header: ContainerHeader, name: str) -> PcmFormat:
    formats: dict[tuple[int, int], SampleFormat] = {
        (PCM, 8): "u8", (PCM, 16): "s16le", (PCM, 24): "s24le", (PCM, 32): "s32le",
        (FLOAT, 32): "f32le",
    }  # fmt: skip
    sample_format = formats.get((header.codec, header.bits))
    if sample_format is None or not 1 <= header.channels <= MOST_CHANNELS:
        raise UndecodableAudioError(
            f"{name}: a WAV with codec {header.codec}, {header.bits} bits, {header.channels} "
            f"channels; plain samples are taken: {USE_FFMPEG}"
        )
    if not RATES[0] <= header.rate <= RATES[1]:
        raise UndecodableAudioError(
            f"{name}: a WAV at {header.rate} Hz; {RATES[0]} to {RATES[1]} Hz are taken"
        )
    return PcmFormat(header.rate, header.channels, sample_format, header.data_bytes)


def read_exactly(file: Readable, size: int) -> bytes:
    """Read ``size`` bytes, fewer only at the end; a pipe gives them in portions."""
    content = bytearray()
    while len(content) < size and (more := file.read(size - len(content))):
        content += more
    return bytes(content)
