"""Bytes of a recording as a user gives it: a path, bytes, an open file, a pipe."""

from __future__ import annotations

import contextlib
import io
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Protocol

from ..errors import AudioNotFoundError, AudioReadError, InvalidSamplesError
from ..files import printable
from .riff import Readable, read_exactly

PIPE_BYTES = 16 << 20
"""Bytes of a pipe that are held in memory; a longer one is decoded as it arrives, once."""


class SourceFile(Protocol):
    """One reading of a source, from its start.

    It never raises: decoders written in C lose an exception of their callbacks. A failure of the
    operating system ends the file instead, and is kept.
    """

    failure: OSError | None
    """Error that ended the file early."""

    def read(self, size: int, /) -> bytes:
        """Read at most ``size`` bytes; none at the end."""
        ...


class Source(ABC):
    """A source of bytes, open until it is closed."""

    rereadable = True
    """True if it can be opened more than once."""

    def __init__(self, name: str) -> None:
        self.name = name
        """Path, or what stands for it in messages; always printable."""

    @abstractmethod
    def open(self) -> SourceFile:
        """Begin a reading, which ends when another one begins."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what was opened."""


class SeekableFile(io.RawIOBase):
    """A file with a fixed size, which stays where it is if told to seek before its start.

    Damaged headers make libsndfile do that.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        """Bytes."""
        self.failure: OSError | None = None
        self._position = 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """Position in bytes from the start."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a position, if there can be one."""
        base = {os.SEEK_CUR: self._position, os.SEEK_END: self.size}.get(whence, 0)
        if base + offset >= 0:
            self._position = base + offset
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer with the next bytes; fewer only at the end."""
        view = memoryview(buffer).cast("B")[: max(0, self.size - self._position)]
        count = self._read_at(self._position, view) if view else 0
        self._position += count
        return count

    def _read_at(self, position: int, view: memoryview) -> int:
        raise NotImplementedError


class FileSource(Source):
    """A regular file. It stays the same one even if another takes its name.

    Args:
        file: the open file, which is closed with this object.
        name: for messages.
    """

    def __init__(self, file: io.FileIO, name: str) -> None:
        super().__init__(name)
        self._file = file

    def open(self) -> SourceFile:
        """As :meth:`Source.open`."""
        return RegularFile(self._file.fileno())

    def close(self) -> None:
        """As :meth:`Source.close`."""
        self._file.close()


class RegularFile(SeekableFile):
    """A reading of a regular file, with a position of its own."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(os.fstat(descriptor).st_size)
        self._descriptor = descriptor

    def _read_at(self, position: int, view: memoryview) -> int:
        try:
            return os.preadv(self._descriptor, [view], position)
        except OSError as error:
            self.failure = error
            return 0


class MemorySource(Source):
    """Bytes in memory."""

    def __init__(self, content: bytes | bytearray, name: str) -> None:
        super().__init__(name)
        self._content = memoryview(content)

    def open(self) -> SourceFile:
        """As :meth:`Source.open`."""
        return MemoryFile(self._content)

    def close(self) -> None:
        """Let go of nothing: the bytes are the caller's."""


class MemoryFile(SeekableFile):
    """A reading of bytes in memory."""

    def __init__(self, content: memoryview) -> None:
        super().__init__(len(content))
        self._content = content

    def _read_at(self, position: int, view: memoryview) -> int:
        piece = self._content[position : position + len(view)]
        view[: len(piece)] = piece
        return len(piece)


class PipeSource(Source):
    """A pipe that is too long to be held.

    Args:
        head: its first bytes, which were read already.
        rest: the pipe.
        name: for messages.
        owned: close the pipe with this object.
    """

    rereadable = False

    def __init__(self, head: bytes, rest: IO[bytes], name: str, *, owned: bool) -> None:
        super().__init__(name)
        self.head = head
        self._rest = rest
        self._owned = owned

    def open(self) -> SourceFile:
        """As :meth:`Source.open`."""
        return PipeFile(self.head, self._rest)

    def close(self) -> None:
        """As :meth:`Source.close`."""
        if self._owned:
            self._rest.close()


class PipeFile:
    """The reading of a pipe: the bytes that were read already, then the rest."""

    def __init__(self, head: bytes, rest: Readable) -> None:
        self.head = head
        self.failure: OSError | None = None
        self._waiting = memoryview(head)
        self._rest = rest

    def read(self, size: int, /) -> bytes:
        """As :meth:`SourceFile.read`."""
        if self._waiting:
            piece, self._waiting = self._waiting[:size], self._waiting[size:]
            return bytes(piece)
        try:
            return self._rest.read(size)
        except OSError as error:
            self.failure = error
            return b""


def open_source(source: Any) -> Source:
    """Open what a user gave.

    Args:
        source: bytes, a path, or an open binary file, which stays the caller's to close.

    Raises:
        AudioNotFoundError: there is no such file, it may not be read, or it is a folder or device.
        AudioReadError: the operating system fails to read it.
        InvalidSamplesError: a file that is open as text.
    """
    if isinstance(source, bytes | bytearray):
        return MemorySource(source, "<bytes>")
    if isinstance(source, str | os.PathLike):
        return _open_path(Path(os.fsdecode(source)))
    name = getattr(source, "name", None)
    name = printable(name) if isinstance(name, str) else "<stream>"
    try:
        return _open_file(source, name)
    except (OSError, ValueError) as error:  # ValueError: the file is closed
        if isinstance(error, InvalidSamplesError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise AudioReadError(f"{name}: cannot be read: {reason}") from None


def _open_path(path: Path) -> Source:
    name = printable(str(path))
    with _naming(name):
        mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        # Not even opened: to open a device may have effects, or never end.
        kind = "a folder" if stat.S_ISDIR(mode) else "a device or socket"
        raise AudioNotFoundError(f"{name}: is {kind}; give audio files")
    with _naming(name):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return FileSource(io.FileIO(descriptor), name)
    pipe = os.fdopen(descriptor, "rb")
    try:
        return _open_pipe(pipe, name, owned=True)
    except BaseException:
        pipe.close()
        raise


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
        regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        if regular and file.tell() == 0:
            return FileSource(io.FileIO(os.dup(file.fileno())), name)
    if hasattr(file, "seekable") and not file.seekable():
        return _open_pipe(file, name, owned=False)
    content = file.read()
    if not isinstance(content, bytes):
        raise InvalidSamplesError(
            f"{name}: read() gave {type(content).__name__}; open it as binary"
        )
    return MemorySource(content, name)


def _open_pipe(pipe: IO[bytes], name: str, *, owned: bool) -> Source:
    """Hold all of a pipe in memory, where decoders may seek, unless it is too long for that."""
    try:
        head = read_exactly(pipe, PIPE_BYTES)
    except OSError as error:
        raise AudioReadError(f"{name}: cannot be read: {error.strerror or error}") from None
    if len(head) == PIPE_BYTES:
        return PipeSource(head, pipe, name, owned=owned)
    if owned:
        pipe.close()
    return MemorySource(head, name)
