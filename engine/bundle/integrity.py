"""Checksums of a bundle's files."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from ..errors import BundleTamperedError
from ..files import cache_folder, write_file
from .manifest import MANIFEST, BundleFile

_REMEDY = "copy or export the bundle again"


def sha256_of(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def variant_files(folder: Path, variant: str) -> tuple[BundleFile, ...]:
    """The files of a variant with their sizes and checksums."""
    return tuple(
        BundleFile(f"{variant}/{path.name}", path.stat().st_size, sha256_of(path))
        for path in sorted((folder / variant).iterdir())
    )


class SeenFiles:
    """Files whose checksum was right, remembered by path, size and time of change.

    A cache that cannot be read or written costs time and nothing else.
    """

    def __init__(self) -> None:
        self.changed = False
        self.path: Path | None = None
        content = None
        with contextlib.suppress(OSError, ValueError):
            self.path = cache_folder() / "verified.json"
            content = json.loads(self.path.read_text(encoding="utf-8"))
        self.digests: dict[str, str] = content if isinstance(content, dict) else {}

    @staticmethod
    def _key(path: Path) -> str:
        stat = path.stat()
        return f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"

    def holds(self, path: Path, digest: str) -> bool:
        """True if this file, unchanged since, once had this checksum."""
        return self.digests.get(self._key(path)) == digest

    def add(self, path: Path, digest: str) -> None:
        """Remember that a file has this checksum."""
        self.digests[self._key(path)] = digest
        self.changed = True

    def save(self) -> None:
        """Write what was added, if anything was."""
        if self.path is None or not self.changed:
            return
        with contextlib.suppress(OSError):
            write_file(self.path, json.dumps(self.digests).encode())


def verify_files(folder: Path, files: Iterable[BundleFile]) -> None:
    """Compare files of a bundle with their checksums.

    Raises:
        BundleTamperedError: a file is missing or differs.
    """
    seen = SeenFiles()
    for file in files:
        path = folder / file.path
        try:
            size = path.stat().st_size
        except OSError as error:
            raise BundleTamperedError(f"{path}: {error.strerror}; {_REMEDY}") from None
        if size != file.bytes:
            raise BundleTamperedError(
                f"{path}: {size} bytes where {MANIFEST} says {file.bytes}; {_REMEDY}"
            )
        if not seen.holds(path, file.sha256):
            digest = sha256_of(path)
            if digest != file.sha256:
                raise BundleTamperedError(
                    f"{path}: sha256 is {digest[:12]}… where {MANIFEST} says "
                    f"{file.sha256[:12]}…; {_REMEDY}"
                )
            seen.add(path, file.sha256)
    seen.save()
