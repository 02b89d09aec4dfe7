"""Files of a bundle compared with the checksums of ``bundle.json``."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import posixpath
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from ..errors import BundleFormatError, BundleTamperedError
from ..files import cache_folder, open_regular, read_regular, write_file
from .external_data import external_files
from .manifest import MANIFEST, BundleFile

MOST_REMEMBERED = 1_000
"""Files whose checksum is remembered; the oldest are forgotten first."""

MOST_CACHE_BYTES = 4 << 20

_REMEDY = "copy or export the bundle again"


def sha256_of(path: Path) -> str:
    """Hex digest of a regular file.

    Raises:
        OSError: it cannot be read.
    """
    with open_regular(path) as file:
        return _digest(file)


def variant_files(folder: Path, variant: str) -> tuple[BundleFile, ...]:
    """The files of a variant's folder with their sizes and checksums."""
    return tuple(
        BundleFile(f"{variant}/{path.name}", path.stat().st_size, sha256_of(path))
        for path in sorted((folder / variant).iterdir())
    )


def verify_files(folder: Path, files: Iterable[BundleFile]) -> None:
    """Compare files of a bundle with their checksums, and their external data with the list.

    A file that matched once is not read again while its size, times and inode stay the same.

    Args:
        folder: the bundle.
        files: files that are used together, such as those of a variant.

    Raises:
        BundleTamperedError: a file is missing or differs.
        BundleFormatError: a graph is not an ONNX file, or reads a file that is not listed.
    """
    files = tuple(files)
    listed = {file.path for file in files}
    verified = _VerifiedFiles()
    for file in files:
        for location in verified.check(folder, file).external:
            target = posixpath.normpath(PurePosixPath(file.path).parent / location)
            if target not in listed:
                raise BundleFormatError(
                    f"{folder / file.path}: reads its weights from {location!r}, which "
                    f"{MANIFEST} does not list; {_REMEDY}"
                )
    verified.save()


def refuse_links(folder: Path, files: Iterable[BundleFile]) -> None:
    """Refuse files of a bundle that are links, or lie in a folder that is one.

    A bundle from elsewhere could have a link to a file of this machine, which a copy would give
    away.

    Raises:
        BundleTamperedError: a link.
    """
    for file in files:
        path = folder
        for part in PurePosixPath(file.path).parts:
            path /= part
            if path.is_symlink():
                raise BundleTamperedError(f"{path}: a link; copy the bundle with 'cp -rL' first")


def copy_verified(folder: Path, file: BundleFile, target: Path) -> None:
    """Copy one file of a bundle, comparing the copy with its size and checksum.

    Args:
        folder: the bundle.
        file: the file.
        target: an existing folder, which the file is copied to under its path.

    Raises:
        BundleTamperedError: the file is missing, differs, or is a link.
        OSError: the copy cannot be written.
    """
    refuse_links(folder, [file])
    path, copy = folder / file.path, target / file.path
    copy.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as files:
        try:
            source = files.enter_context(open_regular(path, follow=False))
        except OSError as error:
            raise BundleTamperedError(f"{path}: {error.strerror or error}; {_REMEDY}") from None
        written = files.enter_context(copy.open("wb"))
        digest, size = hashlib.sha256(), 0
        while size <= file.bytes and (chunk := source.read(1 << 20)):
            digest.update(chunk)
            size += len(chunk)
            written.write(chunk)
    if (size, digest.hexdigest()) != (file.bytes, file.sha256):
        raise BundleTamperedError(f"{path}: differs from its checksum in {MANIFEST}; {_REMEDY}")


def remembers(fact: str) -> bool:
    """True if a fact about files was remembered."""
    return _VerifiedFiles().holds(fact)


def remember(fact: str) -> None:
    """Remember a fact about files, so far as there is a cache."""
    verified = _VerifiedFiles()
    verified.add(fact)
    verified.save()


@dataclass(frozen=True)
class _Verified:
    """Facts of a file that was read whole."""

    sha256: str
    external: tuple[str, ...] = ()
    """Locations of its external data."""


class _VerifiedFiles:
    """Files that were read, remembered in the cache folder.

    A cache that cannot be read or written costs time and nothing else.
    """

    def __init__(self) -> None:
        self._changed = False
        self._path: Path | None = None
        self._rows: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError, RecursionError):
            self._path = cache_folder() / "verified.json"
            content = json.loads(read_regular(self._path, MOST_CACHE_BYTES))
            if isinstance(content, dict):
                self._rows = content

    def check(self, folder: Path, file: BundleFile) -> _Verified:
        """Compare one file with its size and checksum."""
        path = folder / file.path
        try:
            found = path.stat()
            if stat.S_ISREG(found.st_mode) and found.st_size != file.bytes:
                raise BundleTamperedError(
                    f"{path}: {found.st_size} bytes where {MANIFEST} says {file.bytes}; {_REMEDY}"
                )
            key = _key(path, found)
            verified = self._remembered(key)
            if verified is None or verified.sha256 != file.sha256:
                with open_regular(path) as opened:
                    verified = _read(opened, path, file.sha256)
                    unchanged = _key(path, os.fstat(opened.fileno())) == key
                if unchanged:
                    self._rows[key] = [verified.sha256, *verified.external]
                    self._changed = True
        except OSError as error:
            raise BundleTamperedError(f"{path}: {error.strerror or error}; {_REMEDY}") from None
        return verified

    def holds(self, fact: str) -> bool:
        """True if a fact was added before."""
        return fact in self._rows

    def add(self, fact: str) -> None:
        """Add a fact."""
        self._rows[fact] = []
        self._changed = True

    def save(self) -> None:
        """Write what was added, if anything was."""
        if self._path is None or not self._changed:
            return
        rows = dict(list(self._rows.items())[-MOST_REMEMBERED:])
        with contextlib.suppress(OSError):
            if self._path.is_file() or not self._path.exists():  # writing to a pipe may never end
                write_file(self._path, json.dumps(rows).encode())

    def _remembered(self, key: str) -> _Verified | None:
        row = self._rows.get(key)
        if not isinstance(row, list) or not row or not all(isinstance(text, str) for text in row):
            return None
        return _Verified(row[0], tuple(row[1:]))


def _key(path: Path, found: os.stat_result) -> str:
    # The time of a change of the inode cannot be set by a program, unlike that of the content.
    numbers = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
    return "|".join(map(str, (path.resolve(), *numbers)))


def _read(file: BinaryIO, path: Path, expected: str) -> _Verified:
    digest = _digest(file)
    if digest != expected:
        raise BundleTamperedError(
            f"{path}: sha256 is {digest[:12]}… where {MANIFEST} says {expected[:12]}…; {_REMEDY}"
        )
    return _Verified(digest, external_files(file, path) if path.suffix == ".onnx" else ())


def _digest(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()
