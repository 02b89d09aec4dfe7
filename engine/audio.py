"""The audio door: any file, bytes, stream or array → 16 kHz mono float32, or a clear error.

libsndfile (through soundfile) reads WAV, FLAC, OGG, Opus, MP3, AIFF and the like; what it does not
know goes to FFmpeg (through PyAV). Decoding and resampling run in blocks, so what is held in memory
is the 16 kHz mono result and one block of the source.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import (
    AudioError,
    AudioNotFoundError,
    AudioTooShortError,
    InvalidSamplesError,
    NoAudioStreamError,
    TruncatedAudioError,
    UndecodableAudioError,
)

if TYPE_CHECKING:
    import av
    import soundfile

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
BLOCK_SECONDS = 4.0
SLACK_SECONDS = 0.1
"""By how much a decoded file may fall short of its header: encoder delay, a last partial block."""


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
        reader: _Reader
        if isinstance(source, str | os.PathLike | bytes | bytearray) or hasattr(source, "read"):
            file, name = _open_binary(source)
            stack.enter_context(file)
            reader = _open_reader(file, name)
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


class _Reader:
    """A source of blocks float32 [samples, channels] at ``rate``."""

    name: str
    rate: int
    channels: int
    decoder: str

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        raise NotImplementedError

    def close(self) -> None: ...


class _SoundFileReader(_Reader):
    decoder = "libsndfile"

    def __init__(self, file: soundfile.SoundFile, name: str, promised: int | None) -> None:
        self.file = file
        self.name = name
        self.rate = file.samplerate
        self.channels = file.channels
        self.promised = promised
        """Frames that the header promises, where it can be believed."""

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        import soundfile

        size = max(1, int(BLOCK_SECONDS * self.rate))
        done = 0
        while True:
            try:
                block = self.file.read(size, dtype="float32", always_2d=True)
            except (soundfile.SoundFileError, RuntimeError, OSError) as error:
                raise UndecodableAudioError(
                    f"{self.name}: cannot be decoded after {done / self.rate:.2f} s: "
                    f"{_reason(error)}"
                ) from None
            done += len(block)
            if len(block):
                yield block
            if len(block) < size:
                break
        if self.promised is not None and done < self.promised - SLACK_SECONDS * self.rate:
            raise TruncatedAudioError(
                f"{self.name}: ends after {done / self.rate:.2f} s where its header promises "
                f"{self.promised / self.rate:.2f} s; the file is cut off, get a whole copy"
            )

    def close(self) -> None:
        self.file.close()


class _FFmpegReader(_Reader):
    decoder = "ffmpeg"

    def __init__(self, container: av.container.InputContainer, name: str) -> None:
        self.container = container
        self.name = name
        if not container.streams.audio:
            container.close()
            raise NoAudioStreamError(
                f"{name}: {container.format.long_name or container.format.name} without an audio "
                "stream"
            )
        self.stream = container.streams.audio[0]
        if not getattr(self.stream, "codec_context", None):
            container.close()
            raise UndecodableAudioError(f"{name}: audio in a codec that FFmpeg has no decoder for")
        self.rate = self.stream.rate or 0
        self.channels = self.stream.channels or 0

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        import av

        resampler = av.AudioResampler(format="flt", layout=self.stream.layout, rate=self.rate)
        done = 0
        try:
            for frame in self.container.decode(self.stream):
                for plain in resampler.resample(frame):
                    block: NDArray[np.float32] = np.asarray(plain.to_ndarray(), np.float32)
                    block = block.reshape(-1, self.channels)
                    done += len(block)
                    yield block
        except (av.FFmpegError, ValueError, OSError, RuntimeError) as error:
            raise UndecodableAudioError(
                f"{self.name}: cannot be decoded after {done / self.rate:.2f} s: {_reason(error)}"
            ) from None
        if self.stream.duration and self.stream.time_base:
            promised = float(self.stream.duration * self.stream.time_base)
            if done / self.rate < promised - max(SLACK_SECONDS, 0.02 * promised):
                raise TruncatedAudioError(
                    f"{self.name}: ends after {done / self.rate:.2f} s where its header promises "
                    f"{promised:.2f} s; the file is cut off, get a whole copy"
                )

    def close(self) -> None:
        self.container.close()


class _ArrayReader(_Reader):
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


def _open_binary(source: Any) -> tuple[IO[bytes], str]:
    """A seekable file that is ours to close, and its name for messages."""
    if isinstance(source, bytes | bytearray):
        return _Memory(source), "<bytes>"
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        try:
            if path.is_dir():
                raise IsADirectoryError(0, "is a folder; give audio files")
            file: IO[bytes] = path.open("rb")
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            reason = getattr(error, "strerror", None) or str(error)
            raise AudioNotFoundError(f"{path}: {reason}") from None
        if file.seekable():
            return file, str(path)
        with file:  # a named pipe
            return _Memory(file.read()), str(path)
    name = getattr(source, "name", None)
    name = name if isinstance(name, str) else "<stream>"
    content = source.read()
    if not isinstance(content, bytes):
        raise InvalidSamplesError(
            f"{name}: read() gave {type(content).__name__}; open it as binary"
        )
    return _Memory(content), name


class _Memory(io.BytesIO):
    """A file in memory that stays where it is when told to seek before its start.

    Damaged headers make libsndfile do that, and an exception inside its callback reaches nobody
    but stderr.
    """

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        with contextlib.suppress(ValueError):
            super().seek(offset, whence)
        return self.tell()


def _open_reader(file: IO[bytes], name: str) -> _Reader:
    """Try libsndfile, then FFmpeg, on a seekable file."""
    import soundfile

    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size == 0:
        raise UndecodableAudioError(f"{name}: the file is empty")
    promised = _chunk_promise(file, size)
    try:
        handle = soundfile.SoundFile(file if isinstance(file, _Memory) else name)
    except (soundfile.SoundFileError, RuntimeError, TypeError, OSError) as error:
        file.seek(0)
        return _open_with_ffmpeg(file, name, _reason(error))
    if promised is None:
        promised = _header_promise(handle)
    return _SoundFileReader(handle, name, promised)


def _open_with_ffmpeg(file: IO[bytes], name: str, sndfile_reason: str) -> _FFmpegReader:
    try:
        import av
        import av.logging
    except ImportError:
        raise UndecodableAudioError(
            f"{name}: libsndfile cannot read it ({sndfile_reason}), and FFmpeg is not there "
            "to try; pip install av"
        ) from None
    av.logging.set_level(None)
    try:
        # A playlist or a reference inside a file must not make us open other files or URLs.
        container = av.open(
            file, "r", metadata_errors="ignore", options={"protocol_whitelist": "none"}
        )
    except (av.FFmpegError, ValueError, OSError, RuntimeError) as error:
        raise UndecodableAudioError(
            f"{name}: neither libsndfile ({sndfile_reason}) nor FFmpeg ({_reason(error)}) can read "
            "it; is it audio?"
        ) from None
    return _FFmpegReader(container, name)


def _chunk_promise(file: IO[bytes], size: int) -> int | None:
    """Frames that a WAV or AIFF header promises; libsndfile cuts them down to what is there.

    None where it is neither, or where the writer did not know (a pipe leaves 0 or all ones).
    """
    head = file.read(12)
    promised = None
    if head[:4] + head[8:] in (b"RIFFWAVE", b"FORMAIFF", b"FORMAIFC"):
        order: Literal["little", "big"] = "little" if head[:4] == b"RIFF" else "big"
        align = 0
        while len(chunk := file.read(8)) == 8:
            name, length = chunk[:4], int.from_bytes(chunk[4:], order)
            if name == b"fmt ":
                fmt = file.read(min(length, 64))
                align = int.from_bytes(fmt[12:14], order) if fmt[:2] in _PCM else 0
                length -= len(fmt)
            elif name == b"data":
                if align and 0 < length < 0x7FFF_F000:
                    promised = length // align
                break
            elif name == b"COMM":
                promised = int.from_bytes(file.read(6)[2:], order) or None
                break
            if file.tell() + length > size:
                break
            file.seek(length + length % 2, os.SEEK_CUR)
    file.seek(0)
    return promised


_PCM = (b"\x01\x00", b"\x03\x00", b"\xfe\xff")
"""WAVE_FORMAT_PCM, _IEEE_FLOAT and _EXTENSIBLE: a frame is block-align bytes."""


def _header_promise(handle: soundfile.SoundFile) -> int | None:
    """The frame count where the container states one that can be compared with what is decoded."""
    if handle.format in ("FLAC", "MP3", "MPEG"):
        return handle.frames if 0 < handle.frames < 1 << 40 else None
    return None


def _check_header(reader: _Reader, channel: int | None) -> None:
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


def _header_error(reader: _Reader, what: str) -> AudioError:
    kind = InvalidSamplesError if reader.decoder == "array" else UndecodableAudioError
    return kind(f"{reader.name}: {what}")


def _resampled(reader: _Reader, channel: int | None) -> Iterator[Samples]:
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


def _reason(error: BaseException) -> str:
    # libsndfile's own words, without the address of the file object that soundfile adds
    text = getattr(error, "error_string", None) or str(error)
    text = " ".join(text.split()) or type(error).__name__
    return text.removeprefix("Error : ").rstrip(".")[:200]
