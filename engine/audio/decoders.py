"""Decoders: the bytes of a file → blocks of samples at the file's own rate and channels.

libsndfile (through soundfile) reads WAV, FLAC, OGG, Opus, MP3, AIFF and the like; FFmpeg gets the
files that libsndfile does not know. A file that ends before its own header says so is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import AudioReadError, UndecodableAudioError
from .ffmpeg_worker import SeekableFile, reason_of
from .readers import DecodingError, FileReader, Reader
from .riff import promised_frames
from .sources import Source
from .types import DecoderName

if TYPE_CHECKING:
    import soundfile

T = TypeVar("T")

MOST_FRAMES = 1 << 40
"""A frame count from here on means that libsndfile does not know it."""


class SoundFileReader(FileReader):
    """A file that libsndfile decodes.

    Raises:
        AudioReadError: the operating system fails to read the file.
        DecodingError: libsndfile cannot open it.
    """

    decoder: DecoderName = "libsndfile"

    def __init__(self, file: SeekableFile, name: str) -> None:
        import soundfile

        self._file = file
        promised = promised_frames(file)
        self._handle = _guarded(lambda: soundfile.SoundFile(file), file, name)
        if promised is None:
            promised = _stated_frames(self._handle)
        rate = self._handle.samplerate
        seconds = promised / rate if promised and rate else None
        super().__init__(name, rate, self._handle.channels, seconds)

    def _decode(self) -> Iterator[NDArray[np.float32]]:
        size = self.block_frames
        while True:
            block = _guarded(self._read, self._file, self.name)
            if len(block):
                yield block
            if len(block) < size:
                return

    def _read(self) -> NDArray[np.float32]:
        block: NDArray[np.float32] = self._handle.read(
            self.block_frames, dtype="float32", always_2d=True
        )
        return block

    def close(self) -> None:
        """As :meth:`Reader.close`."""
        self._handle.close()


def open_reader(source: Source) -> Reader:
    """Open a file with libsndfile, or else with FFmpeg; a pipe with FFmpeg.

    Raises:
        AudioReadError: the operating system fails to read it.
        NoAudioStreamError: a readable file without audio.
        UndecodableAudioError: neither of the two can read it.
    """
    reason = "it cannot seek in a pipe"
    if source.seekable:
        file = source.open()
        if file.size == 0:
            raise UndecodableAudioError(f"{source.name}: the file is empty")
        try:
            return SoundFileReader(file, source.name)
        except DecodingError as error:
            reason = str(error)
    from .ffmpeg import FFmpegReader  # most recordings need neither it nor its process

    try:
        return FFmpegReader(source)
    except DecodingError as error:
        raise UndecodableAudioError(
            f"{source.name}: neither libsndfile ({reason}) nor FFmpeg ({error}) can read it; "
            "is it audio?"
        ) from error.__cause__


def _stated_frames(handle: soundfile.SoundFile) -> int | None:
    """Frames that the header states in containers where they can be compared with the audio."""
    if handle.format in ("FLAC", "MP3", "MPEG"):
        return handle.frames if 0 < handle.frames < MOST_FRAMES else None
    return None


def _guarded(step: Callable[[], T], file: SeekableFile, name: str) -> T:
    """Run code of soundfile, which answers damaged files with exceptions of several types.

    Raises:
        AudioReadError: the operating system failed to read the file.
        DecodingError: it failed for any other reason.
    """
    try:
        result = step()
    except Exception as error:
        _check_read(file, name)
        # libsndfile's own words, without the address of the file object that soundfile adds
        words = getattr(error, "error_string", None)
        reason = words.removeprefix("Error : ") if words else reason_of(error)
        raise DecodingError(reason.rstrip(".")) from error
    _check_read(file, name)
    return result


def _check_read(file: SeekableFile, name: str) -> None:
    if file.failure is not None:
        raise AudioReadError(
            f"{name}: cannot be read: {file.failure.strerror or file.failure}"
        ) from file.failure
