"""Bodies of requests, counted while they arrive and kept where their end frees them.

A small recording stays in memory. A larger one goes to a file without a name in the spool folder:
whatever happens to the process, its space is free when the request is over.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ...errors import OutputError, OverloadedError, RequestTooLargeError
from ...files import printable

MEMORY_BYTES = 1 << 20
"""Bytes of a recording that stay in memory; a larger one goes to the disk."""

MOST_NAME = 255
"""Characters of the name of a file."""

UNNAMED = "audio"
"""Name in results of a recording that came without one."""


class Spool:
    """The room on the disk for recordings that wait.

    Args:
        folder: folder for them; None takes the system's temporary folder.
        most: bytes of all of them together.
    """

    def __init__(self, folder: Path | None, most: int) -> None:
        self.folder = Path(folder or tempfile.gettempdir())
        self.most = most
        self.used = 0
        """Bytes that are taken."""
        self._lock = threading.Lock()

    def take(self, count: int) -> None:
        """Take room.

        Raises:
            OverloadedError: there is not enough left.
        """
        with self._lock:
            if self.used + count > self.most:
                raise OverloadedError(
                    f"recordings that wait take {self.used / 1e6:.0f} of {self.most / 1e6:.0f} MB "
                    "on the disk; send it again later"
                )
            self.used += count

    def free(self, count: int) -> None:
        """Give room back."""
        with self._lock:
            self.used -= count

    def open(self) -> io.FileIO:
        """A new file without a name.

        Raises:
            OutputError: it cannot be made.
        """
        with _told():
            file = tempfile.TemporaryFile(dir=self.folder, buffering=0)  # noqa: SIM115 - the caller's
        if not isinstance(file, io.FileIO):
            raise OutputError("the spool folder gave no file")
        return file


class SpooledFile:
    """One recording of a request. A context manager.

    Args:
        spool: where it goes if it is large.
        name: its name, as the client gave it.
    """

    def __init__(self, spool: Spool, name: str | None) -> None:
        self.name = printable(os.path.basename(name or ""))[:MOST_NAME] or UNNAMED  # noqa: PTH119
        self.size = 0
        """Bytes that were written."""
        self._spool = spool
        self._memory = bytearray()
        self._file: io.FileIO | None = None

    def in_memory(self, count: int) -> bool:
        """True if so many bytes more would still be kept in memory."""
        return self._file is None and self.size + count <= MEMORY_BYTES

    def write(self, content: bytes) -> None:
        """Add bytes; a call for which :meth:`in_memory` is False may block.

        Raises:
            OverloadedError: the spool is full.
            OutputError: the disk is full, or fails.
        """
        if self.in_memory(len(content)):
            self._memory += content
            self.size += len(content)
            return
        if self._file is None:
            self._spool.take(self.size)
            try:
                self._file = self._spool.open()
                self._file.name = self.name
                self._put(self._memory)
            except BaseException:
                self._spool.free(self.size)
                self._close_file()
                raise
            self._memory = bytearray()
        self._spool.take(len(content))
        self.size += len(content)
        self._put(content)

    def open(self) -> IO[bytes]:
        """The recording from its start, as an open file that has its name."""
        if self._file is None:
            content = _NamedBytes(self._memory)
            content.name = self.name
            return content
        self._file.seek(0)
        again = io.FileIO(self._file.fileno(), closefd=False)
        again.name = self.name
        return io.BufferedReader(again)

    def close(self) -> None:
        """Free its room."""
        self._memory = bytearray()
        if self._file is not None:
            self._spool.free(self.size)
            self._close_file()

    def __enter__(self) -> SpooledFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _put(self, content: bytes | bytearray) -> None:
        rest = memoryview(content)
        with _told():
            while rest and self._file is not None:
                rest = rest[self._file.write(rest) or 0 :]


class _NamedBytes(io.BytesIO):
    """Bytes as a file that has a name."""

    name = UNNAMED


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turn an OSError of the spool into an OutputError without a path of this machine."""
    try:
        yield
    except OSError as error:
        reason = "the disk is full"
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            reason = error.strerror or "the disk failed"
        raise OutputError(f"the recording cannot be kept while it waits: {reason}") from None


def check_size(count: int, most: int) -> None:
    """Refuse a request that is too large.

    Raises:
        RequestTooLargeError: more than ``most`` bytes.
    """
    if count > most:
        raise RequestTooLargeError(
            f"more than {most / 1e6:g} MB; send shorter recordings, or a compressed format"
        )
