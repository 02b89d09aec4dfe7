"""What a user may name as a recording: a path, bytes, an open file, a pipe."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path
from typing import IO, Any

from ..errors import AudioNotFoundError, InvalidSamplesError

PIPE_BYTES = 16 << 20
"""So much of a pipe is held in memory; a longer one is decoded as it comes, once."""


def open_binary(source: Any) -> tuple[IO[bytes] | Pipe, str]:
    """A file that is ours to close, and its name for messages."""
    if isinstance(source, bytes | bytearray):
        return MemoryFile(source), "<bytes>"
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
        return _drawn(file, str(path)), str(path)  # a named pipe
    name = getattr(source, "name", None)
    name = name if isinstance(name, str) else "<stream>"
    if isinstance(source, io.BufferedReader) and isinstance(source.raw, io.FileIO):
        if not source.seekable():
            return _drawn(source, name), name
        if source.tell() == 0:  # the same file, with a position of our own
            with contextlib.suppress(OSError):
                return Path(f"/dev/fd/{source.fileno()}").open("rb"), name
    content = source.read()
    if not isinstance(content, bytes):
        raise InvalidSamplesError(
            f"{name}: read() gave {type(content).__name__}; open it as binary"
        )
    return MemoryFile(content), name


class Pipe:
    """Bytes that pass once: what was drawn already, then the rest."""

    def __init__(self, head: bytes, rest: IO[bytes], name: str) -> None:
        self.name = name
        self.head = head
        self._waiting = memoryview(head)
        self._rest = rest

    def read(self, size: int) -> bytes:
        """At most ``size`` of the next bytes."""
        if self._waiting:
            piece, self._waiting = self._waiting[:size], self._waiting[size:]
            return bytes(piece)
        return self._rest.read(size)

    def close(self) -> None:
        """Let go of the pipe."""
        self._rest.close()


def _drawn(pipe: IO[bytes], name: str) -> IO[bytes] | Pipe:
    """All of a pipe in memory, where decoders may seek, unless it is too much for that."""
    head = pipe.read(PIPE_BYTES)
    if len(head) == PIPE_BYTES:
        return Pipe(head, pipe, name)
    with pipe:
        return MemoryFile(head)


class MemoryFile(io.BytesIO):
    """A file in memory that stays where it is when told to seek before its start.

    Damaged headers make libsndfile do that, and an exception inside its callback reaches nobody
    but stderr.
    """

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Seek, or stay where it is if told to go before the start."""
        with contextlib.suppress(ValueError):
            super().seek(offset, whence)
        return self.tell()
