"""Tar archives of recordings, such as the shards of WebDataset."""

from __future__ import annotations

import tarfile
from collections import Counter
from collections.abc import Iterator
from typing import IO

from ..audio.types import AUDIO_SUFFIXES, StoredRecording
from ..errors import TruncatedAudioError, UndecodableAudioError
from ..files import printable
from ..objects import open_blocks
from .members import Member, read_errors

ARCHIVE_SUFFIX = ".tar"

COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}
"""First bytes of compressed files."""


class Archive:
    """A tar archive, of which the headers alone are read; the recordings are read by their place.

    Members with the usual endings of recordings are taken; others, such as the ``.json`` and
    ``.cls`` beside them, are passed over.

    Args:
        path: path or URL.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = printable(path)

    def members(self) -> Iterator[Member]:
        """The recordings, named as they are in the archive; as :meth:`.Dataset.members`."""
        names: Counter[str] = Counter()
        with (
            read_errors(self.name),
            open_blocks(self.path) as file,
            self._opened(file) as archive,
        ):
            size = file.seek(0, 2)
            for entry in self._entries(archive, file, size):
                name = entry.name if isinstance(entry, tarfile.TarInfo) else entry
                names[name] += 1
                if names[name] > 1:
                    name = f"{name}~{names[name]}"
                yield Member(printable(name), self._recording(printable(name), entry))
        if not names:
            raise UndecodableAudioError(
                f"{self.name}: no recordings in this archive; endings looked for: "
                f"{' '.join(sorted(AUDIO_SUFFIXES))}"
            )

    def _opened(self, file: IO[bytes]) -> tarfile.TarFile:
        try:
            archive = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115 - the caller closes it
        except (tarfile.TarError, ValueError) as error:
            file.seek(0)
            start = file.read(8)
            kind = next((kind for magic, kind in COMPRESSED.items() if start.startswith(magic)), "")
            reason = f"is compressed ({kind}); unpack it first" if kind else f"is no tar: {error}"
            raise UndecodableAudioError(f"{self.name}: {reason}") from None
        archive.ignore_zeros = True  # past a damaged header, the next whole one is looked for
        return archive

    def _entries(
        self, archive: tarfile.TarFile, file: IO[bytes], size: int
    ) -> Iterator[tarfile.TarInfo | str]:
        """Entries that are recordings; for a stretch that is damaged, a name for it."""
        first = archive.offset > 0
        while True:
            # Opening it has read the first header.
            place = 0 if first else archive.offset
            first = False
            try:
                entry = archive.next()
            except (tarfile.TarError, ValueError) as error:
                if place > size:
                    raise self._cut_off("at its end") from None
                raise UndecodableAudioError(
                    f"{self.name}: damaged at byte {place}: {error}; what is before is kept"
                ) from None
            archive.members.clear()  # type: ignore[attr-defined]  # or all would be kept in memory
            if entry is None or entry.offset != place:
                yield from self._gap(file, place)
            if entry is None:
                return
            if entry.offset_data + entry.size > size:
                raise self._cut_off(f"in {printable(entry.name)}")
            if entry.isreg() and _is_recording(entry.name):
                yield entry

    def _cut_off(self, place: str) -> TruncatedAudioError:
        return TruncatedAudioError(
            f"{self.name}: is cut off {place}; get a whole copy, what is before is kept"
        )

    def _gap(self, file: IO[bytes], place: int) -> Iterator[str]:
        """A name for a stretch that is no header, nor the zeros at the end of an archive."""
        file.seek(place)
        block = file.read(tarfile.BLOCKSIZE)
        if len(block) < tarfile.BLOCKSIZE:
            raise self._cut_off("or was never finished: the mark of its end is missing")
        if block.strip(b"\0"):
            yield f"byte {place}"

    def _recording(self, name: str, entry: tarfile.TarInfo | str) -> StoredRecording:
        name = f"{self.name}#{name}"
        if isinstance(entry, str):
            return StoredRecording(name, problem="the archive is damaged here")
        if entry.issparse():
            return StoredRecording(name, problem="is stored with holes; pack it without --sparse")
        return StoredRecording(name, archive=self.path, start=entry.offset_data, size=entry.size)


def _is_recording(name: str) -> bool:
    base = name.rpartition("/")[2]
    stem, dot, suffix = base.rpartition(".")
    return bool(stem) and base[0] != "." and f"{dot}{suffix}".lower() in AUDIO_SUFFIXES
