"""A file that somebody else is writing, read as it grows."""

from __future__ import annotations

import contextlib
import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...audio.convert import Converter
from ...audio.ffmpeg import LIVE_BLOCK_SECONDS, FFmpegReader
from ...audio.readers import ArrayReader, DecodingError, Reader, check_header, to_float
from ...audio.riff import PcmFormat, read_wav_header
from ...audio.sources import Source
from ...audio.types import Samples
from ...errors import AudioNotFoundError, AudioReadError, UndecodableAudioError
from ...files import open_regular, printable
from ...settings import SourceSettings

POLL_SECONDS = 0.1
"""Seconds between two looks at a file that has not grown."""

MOST_BYTES = 1 << 16
"""Bytes that are read at once."""


class GrowingFile:
    """A file that grows. One that is replaced or made shorter is read again from its start.

    A WAV is read to wherever it ends, whatever its header says of its length, which its writer
    cannot know yet; other files go through FFmpeg.

    Args:
        path: the file.
        settings: ``rate`` and the other fields of raw samples; ``channel``.
    """

    endless = True

    def __init__(self, path: Path, settings: SourceSettings) -> None:
        self.name = printable(str(path))
        self._path = path
        self._settings = settings
        self._closed = threading.Event()

    def connect(self) -> Iterator[Samples]:
        """Read it from its start: float32 [samples], mono, 16 kHz, in blocks.

        Raises:
            AudioNotFoundError: there is no such file, or it is no regular file.
            AudioReadError, UndecodableAudioError: it cannot be read or decoded.
        """
        try:
            file = open_regular(self._path)
        except OSError as error:
            raise AudioNotFoundError(f"{self.name}: {error.strerror or error}") from None
        with file:
            tail = _Tail(self._path, file.fileno(), self._closed)
            found = read_wav_header(tail, self.name)
            settings = self._settings
            if isinstance(found, PcmFormat):
                yield from self._converted(_pcm_blocks(tail, found, b""), found.rate)
            elif settings.rate is not None:
                raw = PcmFormat(settings.rate, settings.channels, settings.sample_format)
                yield from self._converted(_pcm_blocks(tail, raw, found), raw.rate)
            else:
                yield from self._decoded(tail, found)

    def close(self) -> None:
        """Wait for no more of it."""
        self._closed.set()

    def _converted(self, blocks: Iterator[NDArray[np.float32]], rate: int) -> Iterator[Samples]:
        converter = Converter(self.name, rate, self._settings.channel)
        for block in blocks:
            check_header(ArrayReader(block, rate), self._settings.channel)
            yield converter.feed(block)
        yield converter.flush()

    def _decoded(self, tail: _Tail, head: bytes) -> Iterator[Samples]:
        receiving, sending = os.pipe()
        threading.Thread(target=_pump, args=(tail, sending), daemon=True).start()
        start = io.FileIO(os.memfd_create("head"), "r+")
        start.write(head)
        with contextlib.closing(Source(self.name, io.FileIO(receiving), start)) as source:
            try:
                reader: Reader = FFmpegReader(source, LIVE_BLOCK_SECONDS)
            except DecodingError as error:
                raise UndecodableAudioError(f"{self.name}: {error}") from None
            with contextlib.closing(reader):
                yield from self._converted(reader.blocks(), reader.rate)


class _Tail:
    """A reading of a growing file: waits for more at its end, until it is replaced or closed."""

    def __init__(self, path: Path, descriptor: int, closed: threading.Event) -> None:
        self._path = path
        self._descriptor = descriptor
        self._closed = closed
        self._position = 0

    def read(self, size: int, /) -> bytes:
        """Read the next bytes, at most ``size``; none if there will be no more."""
        while True:
            try:
                replaced = self._replaced()
                content = os.pread(self._descriptor, min(size, MOST_BYTES), self._position)
            except OSError as error:
                reason = error.strerror or str(error)
                raise AudioReadError(f"{self._path}: cannot be read: {reason}") from None
            self._position += len(content)
            if content or replaced or self._closed.wait(POLL_SECONDS):
                return content

    def _replaced(self) -> bool:
        own = os.fstat(self._descriptor)
        if own.st_size < self._position:
            return True
        try:
            return not os.path.samestat(own, self._path.stat())
        except FileNotFoundError:
            return True


def _pcm_blocks(tail: _Tail, format_: PcmFormat, rest: bytes) -> Iterator[NDArray[np.float32]]:
    most = max(1, format_.rate // 10) * format_.frame_bytes
    while content := tail.read(most):
        rest += content
        whole = len(rest) - len(rest) % format_.frame_bytes
        if whole:
            yield to_float(format_.decode(rest[:whole]))
        rest = rest[whole:]


def _pump(tail: _Tail, sending: int) -> None:
    """Hand a file on to a pipe, to the end of either."""
    with io.FileIO(sending, "wb") as pipe, contextlib.suppress(BrokenPipeError, AudioReadError):
        while content := tail.read(MOST_BYTES):
            rest = memoryview(content)
            while rest:
                rest = rest[pipe.write(rest) :]
