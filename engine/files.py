"""Output files and folders, written whole or not at all, and the cache folder.

A new file or folder is written beside its place and renamed into it, so that no reader sees half of
it, whenever the process is stopped. Every failure is an :class:`~.errors.OutputError` that names
the file.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

from .errors import E2VError, OptionError, OutputError

CACHE_VARIABLE = "E2V_CACHE"
"""Environment variable that moves the cache folder."""

MOST_PATH = 4_096
"""Bytes of a path (PATH_MAX of Linux)."""

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h


def cache_folder() -> Path:
    """Folder for what can be computed again: ``$E2V_CACHE``, else in the user's cache folder.

    Raises:
        OutputError: the user has no home folder.
    """
    if override := os.environ.get(CACHE_VARIABLE):
        return Path(override)
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError as error:
        raise OutputError(
            f"there is no cache folder: {error}; set {CACHE_VARIABLE} to a folder"
        ) from None
    return Path(base) / "emotion2vec-edge"


def printable(path: str) -> str:
    r"""The path as text that can be encoded: bytes that are not UTF-8 become ``\xff``.

    No two paths give the same text: in a name that holds the characters ``\xff``, the backslash
    becomes ``\x5c``.
    """
    try:
        content = os.fsencode(path)
    except UnicodeEncodeError:  # a lone surrogate: no file has such a name, but a user may give it
        content = path.encode("utf-8", "surrogatepass")
    content = re.sub(rb"\\(?=x[0-9a-f]{2})", rb"\\x5c", content)
    return content.decode("utf-8", "backslashreplace")


def open_regular(path: Path, *, follow: bool = True) -> BinaryIO:
    """Open a regular file for reading.

    A pipe or a device is refused at once: reading it may never end, and opening it may do harm.

    Args:
        path: the file.
        follow: follow a link; otherwise a link is refused.

    Raises:
        OSError: there is no such file, or it is of another kind.
    """
    if stat.S_ISREG(path.stat(follow_symlinks=follow).st_mode):
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
        descriptor = os.open(path, flags)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return os.fdopen(descriptor, "rb")
        os.close(descriptor)
    raise OSError(errno.EINVAL, "not a regular file", str(path))


def read_regular(path: Path, most: int, *, follow: bool = True) -> bytes:
    """Content of a regular file of at most ``most`` bytes; ``follow`` as :func:`open_regular`.

    Raises:
        OSError: it cannot be read, is of another kind, or larger.
    """
    with open_regular(path, follow=follow) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"larger than {most} bytes", str(path))
    return content


@contextlib.contextmanager
def reported(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into an OutputError that names ``path``."""
    try:
        yield
    except E2VError:
        raise
    except OSError as error:
        message = f"{printable(str(path))}: cannot be written: {error.strerror or error}"
        raise OutputError(message) from error


@contextlib.contextmanager
def atomic_file(
    path: Path, *, scratch: Path | None = None, keep_partial: bool = False
) -> Iterator[BinaryIO]:
    """Open a file that replaces ``path`` at the end of the block.

    Links are followed, and a file that is replaced hands on its mode. A device or a pipe is never
    replaced but written to directly.

    Args:
        path: the file; its folder must exist.
        scratch: folder of the temporary file, on the same disk; by default that of ``path``.
        keep_partial: for a file of records, each of which is worth keeping. If the block is
            interrupted, the records so far become ``path``; if the disk fails, ``path`` stays as
            it was and the records go to ``NAME.partial`` beside it.

    Raises:
        OutputError: the file cannot be written.
    """
    with reported(path):
        target = _replaceable(path)
        if target is None:
            with path.open("wb") as file:
                yield file
            return
        folder = scratch or target.parent
        temporary = folder / f".{os.getpid()}-{os.urandom(4).hex()}.tmp"
        try:
            with temporary.open("xb") as file:
                _copy_access(target, file.fileno())
                yield file
            temporary.replace(target)
        except BaseException as error:
            if keep_partial and temporary.exists():
                _keep(temporary, target, error)
            temporary.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def atomic_text(
    path: Path, *, scratch: Path | None = None, keep_partial: bool = False
) -> Iterator[TextIO]:
    """:func:`atomic_file` for UTF-8 text."""
    with (
        atomic_file(path, scratch=scratch, keep_partial=keep_partial) as file,
        io.TextIOWrapper(file, encoding="utf-8") as text,
    ):
        yield text


def write_file(
    path: Path, content: bytes | Iterable[bytes], *, scratch: Path | None = None
) -> None:
    """Write a file with :func:`atomic_file`, making its folder.

    Raises:
        OutputError: the file cannot be written.
    """
    with reported(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path, scratch=scratch) as file:
        file.writelines([content] if isinstance(content, bytes) else content)


@contextlib.contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Make a hidden folder beside ``path``, on the same disk; it is removed after the block.

    Raises:
        OutputError: it, or what the block writes, cannot be written.
    """
    with reported(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name[:32]}."))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def atomic_folder(path: Path, marker: str) -> Iterator[Path]:
    """Make an empty folder that becomes, or replaces, ``path`` at the end of the block.

    Args:
        path: the folder; a link to one is followed.
        marker: name of a file that a folder must hold to be replaced; an empty one is too.

    Raises:
        OptionError: ``path`` exists and is no folder with the marker.
        OutputError: the folder cannot be written; what was there is unchanged.
    """
    target = Path(os.path.realpath(path))
    with temporary_folder(target) as temporary, reported(path):
        new = temporary / "new"
        new.mkdir()
        yield new
        if not target.exists() or is_empty_folder(target):
            new.replace(target)
            return
        if not (target / marker).is_file():
            raise OptionError(f"{path} holds no {marker}; it will not be overwritten")
        new.chmod(stat.S_IMODE(target.stat().st_mode))
        if not _exchange(new, target):
            old = temporary / "old"
            target.replace(old)
            try:
                new.replace(target)
            except BaseException:
                old.replace(target)
                raise


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Keep other processes that ask for the same lock out of a folder, and wait for them.

    Raises:
        OSError: the folder cannot be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # some network disks know no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def try_lock(descriptor: int) -> bool:
    """Lock an open file or folder until it is closed; False if another process has the lock.

    Some network disks know no locks: there all processes get it.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def is_empty_folder(path: Path) -> bool:
    """True for a folder without any entry."""
    return path.is_dir() and next(path.iterdir(), None) is None


def _replaceable(path: Path) -> Path | None:
    """The file behind ``path``, or its place; None for a device, a pipe or an open descriptor."""
    target = Path(os.path.realpath(path))
    try:
        found = path.stat()
    except FileNotFoundError:
        return target
    # The file behind /dev/stdout may have lost its name.
    named = target.exists() and target.samefile(path)
    return target if stat.S_ISREG(found.st_mode) and named else None


def _copy_access(target: Path, file: int) -> None:
    try:
        found = target.stat()
    except FileNotFoundError:
        return
    with contextlib.suppress(OSError):  # only root hands files to other users
        os.fchown(file, found.st_uid, found.st_gid)
    with contextlib.suppress(OSError):  # FAT has no modes
        os.fchmod(file, stat.S_IMODE(found.st_mode))


def _keep(temporary: Path, target: Path, error: BaseException) -> None:
    """Keep the records of an interrupted file; raises OutputError if the disk has failed."""
    if isinstance(error, E2VError) or not isinstance(error, OSError):
        temporary.replace(target)
        return
    partial = target.with_name(f"{target.name}.partial")
    temporary.replace(partial)
    raise OutputError(
        f"{printable(str(target))}: cannot be written: {error.strerror or error}; "
        f"what could be written is in {printable(str(partial))}"
    ) from None


def _exchange(new: Path, target: Path) -> bool:
    """Swap two folders in one step; False where the system or the disk cannot."""
    import ctypes

    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    swapped: int = renameat2(
        _AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(target), _RENAME_EXCHANGE
    )
    return swapped == 0
