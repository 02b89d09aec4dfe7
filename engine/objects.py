"""Objects in stores that fsspec opens: recordings by URL, whole prefixes of them, and their state.

fsspec is imported when a URL is used. Credentials are the stores' own: environment variables and
configuration files of their clients.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import importlib
import io
import os
import random
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from .errors import MissingExtraError
from .files import printable

T = TypeVar("T")

SCHEMES = ("abfs", "abfss", "az", "file", "gcs", "gs", "hdfs", "memory", "s3", "s3a")
"""Schemes of the stores that are opened; any other text is a path."""

BLOCK_BYTES = 8 << 20
"""Bytes that are asked for at once."""

READ_BYTES = 1 << 20
"""Bytes that are asked for at once of an object that is read in places."""

ATTEMPTS = 6
"""Times that a request is made before its failure counts."""

FIRST_ATTEMPTS = 2
"""The same for listings, the first requests to a store that may not be there: clients try again by
themselves."""

FIRST_WAIT = 0.1
"""Seconds before the second attempt; they double with each."""

_URL = re.compile(rf"(?:{'|'.join(SCHEMES)})://")
_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, ImportError)
"""Failures that another attempt does not change."""


@dataclass(frozen=True)
class ObjectState:
    """Size and time of an object."""

    bytes: int
    mtime_ns: int
    """Nanoseconds since 1970; 0 for a store that tells no time."""


def is_url(text: object) -> bool:
    """True for the URL of an object or of a prefix."""
    return isinstance(text, str) and _URL.match(text) is not None


def check_client(url: str) -> None:
    """Refuse the URL of a store whose client is not installed.

    Raises:
        MissingExtraError: it is not.
        OSError: it cannot be set up.
    """
    _opened(url)


def object_state(url: str) -> ObjectState:
    """State of an object.

    Raises:
        OSError: there is none, or the store does not answer.
        MissingExtraError: the client of the store is not installed.
    """
    store, path = _opened(url)
    found = _tried(lambda: store.info(path))
    return ObjectState(int(found.get("size") or 0), _time_ns(found))


def fetch(url: str) -> io.FileIO:
    """Copy an object, block by block, into a file without a name on the disk.

    Raises:
        OSError: there is none, the store does not answer, or the disk is full.
        MissingExtraError: the client of the store is not installed.
    """
    size = object_state(url).bytes
    return _copied(_ObjectFile(url, size), 0, size)


def fetch_span(name: str, start: int, size: int) -> io.FileIO:
    """Copy a part of a file or an object as :func:`fetch` does.

    Args:
        name: path, or URL of an object.
        start: first byte of the part.
        size: number of its bytes.

    Raises:
        OSError: as :func:`fetch`, or it ends before.
        MissingExtraError: the client of the store is not installed.
    """
    whole = _ObjectFile(name, start + size) if is_url(name) else io.FileIO(name)
    return _copied(whole, start, size)


def _copied(whole: io.RawIOBase, start: int, size: int) -> io.FileIO:
    with whole, tempfile.TemporaryFile(buffering=0) as file:
        whole.seek(start)
        left = size
        while left:
            rest = memoryview(whole.read(min(left, BLOCK_BYTES)) or b"")
            if not rest:
                raise OSError(f"it ends {left} bytes too early")
            left -= len(rest)
            while rest:
                rest = rest[file.write(rest) :]
        file.seek(0)
        # Another descriptor: this one is closed at the end of the block.
        return io.FileIO(os.dup(file.fileno()), "rb")


def open_blocks(name: str) -> io.BufferedReader:
    """Open a file or an object, of which blocks are read as they are needed; it can be sought.

    Args:
        name: path, or URL of an object.

    Raises:
        OSError: there is none, or the store does not answer; also while it is read.
        MissingExtraError: the client of the store is not installed.
    """
    raw = _ObjectFile(name, object_state(name).bytes) if is_url(name) else io.FileIO(name)
    return io.BufferedReader(raw, READ_BYTES)


class _ObjectFile(io.RawIOBase):
    """An object that reads as a file does: a request for each block.

    Args:
        url: the object.
        size: bytes of it that may be read, from its start.
    """

    def __init__(self, url: str, size: int) -> None:
        self._store, self._path = _opened(url)
        self._size = size
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def readinto(self, buffer: Any) -> int:
        start, end = self._place, min(self._size, self._place + len(buffer))
        if start >= end:
            return 0
        block = _tried(lambda: _block(self._store, self._path, start, end))
        buffer[: len(block)] = block
        self._place = end
        return len(block)


def put(file: Path, url: str) -> None:
    """Copy a file to an object.

    Raises:
        OSError: the file cannot be read, or the store does not take it.
        MissingExtraError: the client of the store is not installed.
    """
    store, path = _opened(url)
    _tried(lambda: store.put_file(str(file), path))


def remove(url: str) -> None:
    """Remove an object, if it is there.

    Raises:
        OSError: the store does not do it.
        MissingExtraError: the client of the store is not installed.
    """
    store, path = _opened(url)
    with contextlib.suppress(FileNotFoundError):
        _tried(lambda: store.rm_file(path))


def read_text(url: str) -> str:
    """The whole of a small object as text; bytes that are no UTF-8 are kept as surrogates."""
    with fetch(url) as file:
        return file.readall().decode("utf-8", "surrogateescape")


def find(url: str) -> list[str]:
    """URLs of the objects below a prefix, or of those that match a pattern, in order.

    Raises:
        OSError: the store does not answer.
        MissingExtraError: the client of the store is not installed.
    """
    store, path = _opened(url)
    if any(sign in path for sign in "*?["):
        found = _tried(lambda: store.glob(path, detail=True), FIRST_ATTEMPTS)
    else:
        found = _tried(lambda: store.find(path, detail=True), FIRST_ATTEMPTS)
    names = sorted(name for name, facts in found.items() if facts.get("type") != "directory")
    scheme = url.partition("://")[0]
    return [f"{scheme}://{name.lstrip('/') if scheme != 'file' else name}" for name in names]


def is_prefix(url: str) -> bool:
    """True if there are objects below it, and it is none itself.

    Raises:
        OSError: the store does not answer.
        MissingExtraError: the client of the store is not installed.
    """
    store, path = _opened(url)
    return bool(_tried(lambda: store.isdir(path), FIRST_ATTEMPTS))


def _opened(url: str) -> tuple[Any, str]:
    """The store of a URL, and the path in it."""
    try:
        core: Any = importlib.import_module("fsspec.core")
        store, path = core.url_to_fs(url)
    except ImportError as error:
        raise MissingExtraError(
            f"{printable(url)}: {error}; pip install 'emotion2vec-edge[cloud]', and gcsfs for "
            "gs://, adlfs for abfs://"
        ) from None
    except Exception as error:
        raise _as_os_error(error) from error
    return store, str(path)


def _block(store: Any, path: str, start: int, end: int) -> bytes:
    block: bytes = store.cat_file(path, start=start, end=end)
    if len(block) != end - start:
        raise OSError(f"{len(block)} bytes came instead of {end - start}; it may have changed")
    return block


def _tried(request: Callable[[], T], attempts: int = ATTEMPTS) -> T:
    """The answer to a request, which is made again if it fails.

    Raises:
        OSError: it failed each time.
    """
    failure: Exception = OSError("the store was not asked")
    for attempt in range(attempts):
        if attempt:  # at times of their own, so that many processes do not ask at once
            time.sleep(FIRST_WAIT * 2 ** (attempt - 1) * random.uniform(0.5, 1.0))  # noqa: S311
        try:
            return request()
        except Exception as error:
            failure = _as_os_error(error)
            if isinstance(failure, _FINAL):
                raise failure from error
    raise failure


def _as_os_error(error: Exception) -> Exception:
    """An error of a store's client as one of the system."""
    if isinstance(error, FileNotFoundError) and not error.strerror:  # with the path alone
        return FileNotFoundError(errno.ENOENT, "there is no such object")
    if isinstance(error, OSError | ImportError):
        return error
    name = type(error).__name__
    if "Credential" in name or "Auth" in name:
        return PermissionError(f"no credentials for this store: {error}")
    return OSError(f"the store does not answer: {str(error) or name}")


def _time_ns(found: Any) -> int:
    keys = ("LastModified", "last_modified", "updated", "mtime", "modified", "created")
    value = next((found[key] for key in keys if found.get(key)), 0)
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
    if isinstance(value, datetime.datetime):
        value = value.timestamp()
    return int(value * 1_000_000_000) if isinstance(value, int | float) else 0
