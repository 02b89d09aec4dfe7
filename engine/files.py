"""Files: written whole or not at all, and errors that name them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from .errors import OutputError

CACHE_VARIABLE = "E2V_CACHE"
"""Environment variable that moves the cache folder."""


def cache_folder() -> Path:
    """Where what can be computed again is kept: ``$E2V_CACHE``, else the user's cache folder."""
    if override := os.environ.get(CACHE_VARIABLE):
        return Path(override)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "emotion2vec-edge"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file beside its place and rename it: nobody ever sees half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def printable(path: str) -> str:
    r"""A path whose bytes are no UTF-8, with those bytes as ``\xff``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def put(folder: Path, place: str, content: Iterable[bytes]) -> None:
    """Write one file of an output folder, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    target = folder / place
    temporary = folder / ".work" / f"{os.getpid()}.tmp"
    with reported(target):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.writelines(content)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def reported(path: Path) -> Iterator[None]:
    """Turns a failure of the disk into an OutputError that names what was being written."""
    try:
        yield
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from None
