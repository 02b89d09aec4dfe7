"""Decoders: a file's bytes → blocks of samples at the file's own rate and channels.

libsndfile (through soundfile) reads WAV, FLAC, OGG, Opus, MP3, AIFF and the like; what it does not
know goes to FFmpeg (through PyAV). A file that ends before its own header says so is an error.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import NoAudioStreamError, TruncatedAudioError, UndecodableAudioError
from .riff import promised_frames
from .sources import MemoryFile, Pipe

if TYPE_CHECKING:
    import av
    import soundfile

BLOCK_SECONDS = 4.0
SLACK_SECONDS = 0.1
"""By how much a decoded file may fall short of its header: encoder delay, a last partial block."""


class Reader:
    """A source of blocks float32 [samples, channels] at ``rate``."""

    name: str
    rate: int
    channels: int
    decoder: str
    promised_seconds: float | None = None
    """What the header says of the length, where it says it."""

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """The audio in order: float32 [samples, channels] each, of any length."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the source."""


class SoundFileReader(Reader):
    """What libsndfile reads."""

    decoder = "libsndfile"

    def __init__(self, file: soundfile.SoundFile, name: str, promised: int | None) -> None:
        self.file = file
        self.name = name
        self.rate = file.samplerate
        self.channels = file.channels
        self.promised = promised
        """Frames that the header promises, where it can be believed."""
        self.promised_seconds = promised / self.rate if promised and self.rate else None

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """As :meth:`Reader.blocks`."""
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
        """Let go of the file."""
        self.file.close()


class FFmpegReader(Reader):
    """The first audio stream of what FFmpeg reads."""

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
        if self.stream.duration and self.stream.time_base:
            self.promised_seconds = float(self.stream.duration * self.stream.time_base)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """As :meth:`Reader.blocks`."""
        import av

        resampler = av.AudioResampler(format="flt", layout=self.stream.layout, rate=self.rate)
        size = max(1, int(BLOCK_SECONDS * self.rate))
        done = 0
        waiting: list[NDArray[np.float32]] = []
        try:
            for frame in self.container.decode(self.stream):
                for plain in resampler.resample(frame):
                    block: NDArray[np.float32] = np.asarray(plain.to_ndarray(), np.float32)
                    waiting.append(block.reshape(-1, self.channels))
                if sum(map(len, waiting)) >= size:  # a frame of a codec is some 20 ms
                    done += sum(map(len, waiting))
                    yield np.concatenate(waiting)
                    waiting.clear()
        except (av.FFmpegError, ValueError, OSError, RuntimeError) as error:
            raise UndecodableAudioError(
                f"{self.name}: cannot be decoded after {done / self.rate:.2f} s: {_reason(error)}"
            ) from None
        if waiting:
            done += sum(map(len, waiting))
            yield np.concatenate(waiting)
        promised = self.promised_seconds
        if promised is not None and done / self.rate < promised - max(
            SLACK_SECONDS, 0.02 * promised
        ):
            raise TruncatedAudioError(
                f"{self.name}: ends after {done / self.rate:.2f} s where its header promises "
                f"{promised:.2f} s; the file is cut off, get a whole copy"
            )

    def close(self) -> None:
        """Let go of the container."""
        self.container.close()


def open_reader(file: IO[bytes] | Pipe, name: str) -> Reader:
    """Try libsndfile, then FFmpeg, on a file from its start; a pipe is FFmpeg's alone."""
    if isinstance(file, Pipe):
        ffmpeg = _open_with_ffmpeg(file, name, "it cannot seek in a pipe")
        frames = promised_frames(io.BytesIO(file.head), len(file.head))
        if ffmpeg.promised_seconds is None and frames:
            ffmpeg.promised_seconds = frames / ffmpeg.rate
        return ffmpeg
    import soundfile

    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size == 0:
        raise UndecodableAudioError(f"{name}: the file is empty")
    promised = promised_frames(file, size)
    try:
        # soundfile encodes a name strictly, and names may be any bytes.
        handle = soundfile.SoundFile(
            file if isinstance(file, MemoryFile) else os.fsencode(file.name)
        )
    except (soundfile.SoundFileError, RuntimeError, TypeError, OSError) as error:
        file.seek(0)
        return _open_with_ffmpeg(file, name, _reason(error))
    if promised is None:
        promised = _header_promise(handle)
    return SoundFileReader(handle, name, promised)


def _open_with_ffmpeg(file: IO[bytes] | Pipe, name: str, sndfile_reason: str) -> FFmpegReader:
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
    return FFmpegReader(container, name)


def _header_promise(handle: soundfile.SoundFile) -> int | None:
    """The frame count where the container states one that can be compared with what is decoded."""
    if handle.format in ("FLAC", "MP3", "MPEG"):
        return handle.frames if 0 < handle.frames < 1 << 40 else None
    return None


def _reason(error: BaseException) -> str:
    # libsndfile's own words, without the address of the file object that soundfile adds
    text = getattr(error, "error_string", None) or str(error)
    text = " ".join(text.split()) or type(error).__name__
    return text.removeprefix("Error : ").rstrip(".")[:200]
