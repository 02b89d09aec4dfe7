"""Bytes of a recording as a user gives it: a path, bytes, an open file, a pipe."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from ..errors import (
    AudioNotFoundError,
    AudioReadError,
    InvalidSamplesError,
    UndecodableAudioError,
)
from ..files import printable
from ..objects import fetch, fetch_span, is_url
from .ffmpeg_worker import SeekableFile
from .riff import read_exactly
from .types import StoredRecording

PIPE_BYTES = 16 << 20
"""Bytes of a pipe that are held in memory; a longer one is decoded as it arrives, once."""

PORTION_BYTES = 1 << 16


class Source:
    """An open file or pipe. A file stays the same one even if another takes its name.

    Args:
        name: for messages; printable.
        file: the open file, or the rest of a pipe. It is closed with this object.
        head: of a pipe, the bytes that were read already.
    """

    def __init__(self, name: str, file: io.FileIO, head: io.FileIO | None = None) -> None:
        self.name = name
        self.failure: Exception | None = None
        """Error that ended a pipe early."""
        self._file = file
        self._head = head

    @property
    def seekable(self) -> bool:
        """True if it can be read more than once; False for a pipe."""
        return self._head is None

    @property
    def descriptors(self) -> list[int]:
        """Descriptors of the file; of a pipe, and of its head."""
        return [file.fileno() for file in (self._file, self._head) if file is not None]

    def open(self) -> SeekableFile:
        """Begin a reading of the file, or of the head of a pipe."""
        return SeekableFile((self._head or self._file).fileno())

    def check(self) -> None:
        """Refuse a pipe that failed.

        Raises:
            AudioReadError: it did.
        """
        if self.failure is not None:
            raise _read_error(self.name, self.failure)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        if self._head is not None:
            self._head.close()


def open_source(source: Any) -> Source:
    """Open what a user gave.

    Args:
        source: bytes, a path, the URL of an object in a store, a recording of a dataset, or an
            open binary file, which stays the caller's to close.

    Raises:
        AudioNotFoundError: there is no such file, it may not be read, or it is a folder or device.
        AudioReadError: the operating system fails to read it.
        UndecodableAudioError: a recording of a dataset that is known to be damaged.
        InvalidSamplesError: a file that is open as text.
    """
    if isinstance(source, bytes | bytearray):
        return Source("<bytes>", _in_memory(source))
    if isinstance(source, StoredRecording):
        return _open_stored(source)
    if isinstance(source, str) and is_url(source):
        with _naming(printable(source)):
            return Source(printable(source), fetch(source))
    if isinstance(source, str | os.PathLike):
        return _open_path(Path(os.fsdecode(source)))
    name = getattr(source, "name", None)
    name = printable(name) if isinstance(name, str) else "<stream>"
    try:
        return _open_file(source, name)
    except (OSError, ValueError) as error:  # ValueError: the file is closed
        if isinstance(error, InvalidSamplesError):
            raise
        raise _read_error(name, error) from None


def _open_stored(recording: StoredRecording) -> Source:
    if recording.problem is not None:
        raise UndecodableAudioError(f"{recording.name}: {recording.problem}")
    if recording.content is not None:
        return Source(recording.name, _in_memory(recording.content))
    with _naming(recording.name):
        file = fetch_span(recording.archive, recording.start, recording.size)
    return Source(recording.name, file)


def _open_path(path: Path) -> Source:
    name = printable(str(path))
    with _naming(name):
        mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        # Not even opened: to open a device may have effects, or never end.
        if stat.S_ISDIR(mode):
            raise AudioNotFoundError(
                f"{name}: is a folder; give audio files, or take e2v batch for a whole folder"
            )
        raise AudioNotFoundError(f"{name}: is a device or socket; give audio files")
    with _naming(name):
        file = io.FileIO(path)
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return Source(name, file)
    with file:
        try:
            return _open_pipe(file, b"", name)
        except OSError as error:
            raise _read_error(name, error) from None


@contextlib.contextmanager
def _naming(name: str) -> Iterator[None]:
    """Turns a failure to find or open a file into an AudioNotFoundError that names it."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise AudioNotFoundError(f"{name}: {reason}") from None


def _open_file(file: Any, name: str) -> Source:
    if isinstance(file, io.TextIOBase):
        raise InvalidSamplesError(f"{name}: is open as text; open it as binary")
    if isinstance(file, io.BufferedReader) and isinstance(file.raw, io.FileIO):
        if not file.seekable():
            return _open_pipe(file.raw, file.read(len(file.peek())), name)
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode) and file.tell() == 0:
            return Source(name, io.FileIO(os.dup(file.fileno())))
    if hasattr(file, "seekable") and not file.seekable():
        return _open_stream(file, name)
    content = file.read()
    if not isinstance(content, bytes):
        raise InvalidSamplesError(
            f"{name}: read() gave {type(content).__name__}; open it as binary"
        )
    return Source(name, _in_memory(content))


def _open_pipe(pipe: io.FileIO, start: bytes, name: str) -> Source:
    """Hold all of a pipe, where decoders may seek, unless it is too long for that.

    ``start`` are the bytes that were read of it already.
    """
    head = start + read_exactly(pipe, PIPE_BYTES - len(start))
    if len(head) < PIPE_BYTES:
        return Source(name, _in_memory(head))
    return Source(name, io.FileIO(os.dup(pipe.fileno())), _in_memory(head))


def _open_stream(stream: IO[bytes], name: str) -> Source:
    """The same for an object that reads as a file does, and has no descriptor to hand over."""
    head = read_exactly(stream, PIPE_BYTES)
    if len(head) < PIPE_BYTES:
        return Source(name, _in_memory(head))
    receiving, sending = os.pipe()
    source = Source(name, io.FileIO(receiving), _in_memory(head))

    def pump() -> None:
        with io.FileIO(sending, "wb") as pipe:
            try:
                while piece := stream.read(PORTION_BYTES):
                    _write(pipe, piece)
            except Exception as error:  # noqa: BLE001 - raised where the audio is used
                source.failure = error

    threading.Thread(target=pump, name="audio-pump", daemon=True).start()
    return source


def _in_memory(content: bytes | bytearray) -> io.FileIO:
    """A file in memory, which has a descriptor as any other."""
    file = io.FileIO(os.memfd_create("recording"), "r+")
    _write(file, content)
    return file


def _write(file: io.FileIO, content: bytes | bytearray) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]


def _read_error(name: str, error: Exception) -> AudioReadError:
    reason = getattr(error, "strerror", None) or str(error)
    return AudioReadError(f"{name}: cannot be read: {reason}")
