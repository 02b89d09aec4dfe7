"""Decoders: the bytes of a file → blocks of samples at the file's own rate and channels.

libsndfile (through soundfile) reads WAV, FLAC, OGG, Opus, MP3, AIFF and the like; FFmpeg (through
PyAV) gets the files that libsndfile does not know. A file that ends before its own header says so
is an error.
"""

from __future__ import annotations

import io
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import (
    AudioError,
    AudioReadError,
    NoAudioStreamError,
    TruncatedAudioError,
    UndecodableAudioError,
)
from .readers import Reader
from .riff import promised_frames
from .sources import PipeFile, SeekableFile, SourceFile
from .types import DecoderName

if TYPE_CHECKING:
    import av
    import soundfile

T = TypeVar("T")

SLACK_SECONDS = 0.1
"""Seconds by which a file may fall short of its header: encoder delay, a last partial block."""
SLACK_SHARE = 0.02
"""The same as a share of the length, for containers that round it or estimate it."""
MOST_FRAMES = 1 << 40
"""Frame counts from here on mean that libsndfile does not know."""


class FileReader(Reader):
    """A file that a library decodes.

    Args:
        file: where the library reads; a failure there is more than a damaged file.
        promised_seconds: length that the header states; None if it does not.
        slack_seconds: seconds by which the audio may be shorter.
    """

    def __init__(
        self,
        file: SourceFile,
        name: str,
        rate: int,
        channels: int,
        promised_seconds: float | None,
        slack_seconds: float,
    ) -> None:
        super().__init__(name, rate, channels, promised_seconds)
        self.file = file
        self.slack_seconds = slack_seconds

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """As :meth:`Reader.blocks`."""
        done = 0
        decoded = self._decode()
        while True:
            try:
                block = guarded(lambda: next(decoded, None), self.file, self.name)
            except DecodingError as error:
                raise UndecodableAudioError(
                    f"{self.name}: cannot be decoded after {done / self.rate:.2f} s: {error}"
                ) from error.__cause__
            if block is None:
                break
            for start in range(0, len(block), self.block_frames):
                piece = block[start : start + self.block_frames]
                done += len(piece)
                yield piece
        promised = self.promised_seconds
        if promised is not None and done / self.rate < promised - self.slack_seconds:
            raise TruncatedAudioError(
                f"{self.name}: ends after {done / self.rate:.2f} s where its header promises "
                f"{promised:.2f} s; the file is cut off, get a whole copy"
            )

    @abstractmethod
    def _decode(self) -> Iterator[NDArray[np.float32]]:
        """The audio in order, float32 [frames, channels]; may raise anything."""


class DecodingError(Exception):
    """A library failed; the message is the reason in its own words."""


def guarded(step: Callable[[], T], file: SourceFile, name: str) -> T:
    """Run code of soundfile or PyAV, which answer damaged files with exceptions of any type.

    Raises:
        AudioReadError: the operating system failed to read the file.
        DecodingError: the library failed, for any other reason.
    """
    try:
        result = step()
    except Exception as error:
        _check_read(file, name)
        if isinstance(error, AudioError):
            raise
        raise DecodingError(_reason(error)) from error
    _check_read(file, name)
    return result


def _check_read(file: SourceFile, name: str) -> None:
    if file.failure is not None:
        raise AudioReadError(
            f"{name}: cannot be read: {file.failure.strerror or file.failure}"
        ) from file.failure


class SoundFileReader(FileReader):
    """A file that libsndfile decodes.

    Args:
        promised: frames that the header promises; None if it does not, or cannot be believed.
    """

    decoder: DecoderName = "libsndfile"

    def __init__(
        self, handle: soundfile.SoundFile, file: SourceFile, name: str, promised: int | None
    ) -> None:
        rate = handle.samplerate
        seconds = promised / rate if promised and rate else None
        super().__init__(file, name, rate, handle.channels, seconds, SLACK_SECONDS)
        self._handle = handle

    def _decode(self) -> Iterator[NDArray[np.float32]]:
        while True:
            block = self._handle.read(self.block_frames, dtype="float32", always_2d=True)
            if len(block):
                yield block
            if len(block) < self.block_frames:
                return

    def close(self) -> None:
        """As :meth:`Reader.close`."""
        self._handle.close()


class FFmpegReader(FileReader):
    """The first audio stream of a file that FFmpeg decodes.

    Raises:
        NoAudioStreamError: there is none.
        UndecodableAudioError: FFmpeg has no decoder for it.
    """

    decoder: DecoderName = "ffmpeg"

    def __init__(self, container: av.container.InputContainer, file: SourceFile, name: str) -> None:
        self._container = container
        if not container.streams.audio:
            raise NoAudioStreamError(
                f"{name}: {container.format.long_name or container.format.name} without an audio "
                "stream"
            )
        stream = self._stream = container.streams.audio[0]
        if not getattr(stream, "codec_context", None):
            raise UndecodableAudioError(f"{name}: audio in a codec that FFmpeg has no decoder for")
        rate = stream.rate or 0
        promised = None
        if stream.duration and stream.time_base:
            promised = float(stream.duration * stream.time_base)
        elif isinstance(file, PipeFile) and rate:
            # FFmpeg knows no length of a WAV that it cannot seek in.
            frames = promised_frames(io.BytesIO(file.head), len(file.head))
            promised = frames / rate if frames else None
        slack = max(SLACK_SECONDS, SLACK_SHARE * (promised or 0))
        super().__init__(file, name, rate, stream.channels or 0, promised, slack)

    def _decode(self) -> Iterator[NDArray[np.float32]]:
        import av

        resampler = av.AudioResampler(format="flt", layout=self._stream.layout, rate=self.rate)
        waiting: list[NDArray[np.float32]] = []
        count = 0
        for frame in self._container.decode(self._stream):
            for packed in resampler.resample(frame):
                block: NDArray[np.float32] = np.asarray(packed.to_ndarray(), np.float32)
                waiting.append(block.reshape(-1, self.channels))
                count += len(waiting[-1])
            if count >= self.block_frames:  # a frame of a codec is some 20 ms
                yield np.concatenate(waiting)
                waiting.clear()
                count = 0
        if waiting:
            yield np.concatenate(waiting)

    def close(self) -> None:
        """As :meth:`Reader.close`."""
        self._container.close()


def open_reader(file: SourceFile, name: str) -> Reader:
    """Open a file, at its start, with libsndfile, or else with FFmpeg; a pipe with FFmpeg.

    Raises:
        AudioReadError: the operating system fails to read it.
        NoAudioStreamError: a readable file without sound in it.
        UndecodableAudioError: neither of the two can read it.
    """
    if not isinstance(file, SeekableFile):
        return _open_with_ffmpeg(file, name, "it cannot seek in a pipe")
    import soundfile

    if file.size == 0:
        raise UndecodableAudioError(f"{name}: the file is empty")
    # A file that can seek is as good as any for typing's IO, which is no protocol.
    promised = promised_frames(cast("IO[bytes]", file), file.size)
    try:
        handle = guarded(lambda: soundfile.SoundFile(file), file, name)
    except DecodingError as error:
        file.seek(0)
        return _open_with_ffmpeg(file, name, str(error))
    if promised is None:
        promised = _header_promise(handle)
    return SoundFileReader(handle, file, name, promised)


def _open_with_ffmpeg(file: SourceFile, name: str, libsndfile_reason: str) -> FFmpegReader:
    try:
        import av
        import av.logging
    except ImportError:
        raise UndecodableAudioError(
            f"{name}: libsndfile cannot read it ({libsndfile_reason}), and FFmpeg is not there "
            "to try; pip install av"
        ) from None
    av.logging.set_level(None)

    def open_container() -> FFmpegReader:
        # A playlist or a reference inside a file must not make us open other files or URLs.
        container = av.open(
            file, "r", metadata_errors="ignore", options={"protocol_whitelist": "none"}
        )
        try:
            return FFmpegReader(container, file, name)
        except BaseException:
            container.close()
            raise

    try:
        return guarded(open_container, file, name)
    except DecodingError as error:
        raise UndecodableAudioError(
            f"{name}: neither libsndfile ({libsndfile_reason}) nor FFmpeg ({error}) can read "
            "it; is it audio?"
        ) from error.__cause__


def _header_promise(handle: soundfile.SoundFile) -> int | None:
    """Frames that the header states in containers where they can be compared with the audio."""
    if handle.format in ("FLAC", "MP3", "MPEG"):
        return handle.frames if 0 < handle.frames < MOST_FRAMES else None
    return None


def _reason(error: Exception) -> str:
    """The library's own words, without the address of the file object that soundfile adds."""
    text = getattr(error, "error_string", None) or str(error)
    text = " ".join(text.split()) or type(error).__name__
    return text.removeprefix("Error : ").rstrip(".")[:200]
