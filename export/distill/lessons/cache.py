"""Rows of a teacher on disk, computed once: float16, in one memory-mapped file that only grows.

``rows.f16`` holds the rows of clips one behind another. ``journal.jsonl`` names the teacher in its
first line and then each clip that is complete, at each speed: a clip is known by a checksum of its
sound, so a cache serves any set of recordings, and a run that was killed continues behind the last
line of the journal that is whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from emotion2vec_edge.engine.errors import OptionError, OutputError
from emotion2vec_edge.engine.fields import Fields
from emotion2vec_edge.engine.files import printable, reported, try_lock, write_file

from ..teachers.base import Teacher

ROWS = "rows.f16"
JOURNAL = "journal.jsonl"
VERSION = 1
"""Version of the rows: it changes with the way they are computed."""
ROOM_BYTES = 64 << 20
"""Bytes that stay free on the disk."""


@dataclass(frozen=True, order=True)
class ClipAtSpeed:
    """A clip as the teacher hears it."""

    clip: str
    """Checksum of its sound; see :func:`checksum`."""
    speed: float


@dataclass(frozen=True)
class Stretch:
    """Rows of the file."""

    first: int
    frames: int


def checksum(wave: NDArray[np.int16]) -> str:
    """Checksum of the sound of a clip."""
    return hashlib.sha256(wave.astype("<i2").tobytes()).hexdigest()[:32]


class RowCache:
    """The cache of one teacher in its folder."""

    def __init__(self, folder: Path, teacher: Teacher) -> None:
        """Open a cache, or begin one.

        Raises:
            OptionError: it is of another teacher, or its journal is damaged.
            OutputError: it cannot be written.
        """
        self.folder, self.width = folder, teacher.width
        self._known: dict[ClipAtSpeed, Stretch] = {}
        self._frames = 0
        self._rows: NDArray[np.float16] | None = None
        self._header = {
            "teacher": teacher.name, "layers": teacher.layers_text, "key": teacher.key,
            "width": teacher.width, "version": VERSION,
        }  # fmt: skip
        path = folder / JOURNAL
        with reported(folder):
            if path.is_file():
                self._read(path)
            else:
                write_file(path, _line(self._header))

    def __contains__(self, clip: ClipAtSpeed) -> bool:
        return clip in self._known

    def frames(self, clip: ClipAtSpeed) -> int:
        """Number of rows of a clip."""
        return self._known[clip].frames

    def __getitem__(self, clip: ClipAtSpeed) -> NDArray[np.float16]:
        """Rows of a clip, float16 [frames, width], from the memory-mapped file."""
        if self._rows is None:
            path = self.folder / ROWS
            self._rows = np.memmap(path, np.float16, "r", shape=(self._frames, self.width))
        stretch = self._known[clip]
        return self._rows[stretch.first : stretch.first + stretch.frames]

    def bytes_for(self, frames: int) -> int:
        """Bytes of so many rows on the disk."""
        return frames * self.width * np.dtype(np.float16).itemsize

    def check_room(self, frames: int) -> None:
        """Refuse to begin what the disk has no room for.

        Raises:
            OutputError: it has no room for so many more rows.
        """
        needed, free = self.bytes_for(frames), shutil.disk_usage(self.folder).free
        if needed + ROOM_BYTES > free:
            raise OutputError(
                f"{printable(str(self.folder))}: the frames of {self._header['teacher']} take "
                f"{amount(needed)} more, and {amount(free)} are free; give --cache on "
                "another disk, or fewer --speeds, --teacher-layers or recordings"
            )

    @contextlib.contextmanager
    def filling(self) -> Iterator[Filling]:
        """Open the cache for more rows; one process at a time.

        Raises:
            OptionError: another process fills it.
            OutputError: it cannot be written.
        """
        self._rows = None
        with (
            reported(self.folder),
            (self.folder / JOURNAL).open("r+b") as journal,
            (self.folder / ROWS).open("ab") as rows,
        ):
            if not try_lock(journal.fileno()):
                raise OptionError(
                    f"{printable(str(self.folder))}: another process fills this cache; wait for "
                    "its end, or give another --cache"
                )
            self._read(self.folder / JOURNAL)  # the process before may have added clips
            journal.truncate(self._whole_bytes)
            journal.seek(self._whole_bytes)
            rows.truncate(self.bytes_for(self._frames))
            yield Filling(self, journal, rows)

    def _read(self, path: Path) -> None:
        """Read the journal up to its last whole line."""
        content = path.read_bytes()
        self._whole_bytes = content.rfind(b"\n") + 1
        lines = content[: self._whole_bytes].decode("utf-8", "replace").splitlines()
        try:
            records = [json.loads(line) for line in lines]
            if not records:
                raise ValueError("it is empty")
        except (ValueError, RecursionError) as error:
            raise OptionError(f"{_damaged(path)}: {error}") from None
        self._check_header(path, records[0])
        self._known, self._frames = {}, 0
        for number, record in enumerate(records[1:], 2):
            fields = Fields(record, f"{printable(str(path))}: line {number}", OptionError)
            clip = ClipAtSpeed(
                fields.text("clip", most=64), fields.number("speed", least=0.1, most=10)
            )
            frames = fields.integer("frames")
            self._known[clip] = Stretch(self._frames, frames)
            self._frames += frames
        rows = self.folder / ROWS
        size = rows.stat().st_size if rows.is_file() else 0
        if size < self.bytes_for(self._frames):
            raise OptionError(f"{_damaged(path)}: {ROWS} is shorter than it says")

    def _check_header(self, path: Path, found: Any) -> None:
        if not isinstance(found, dict) or "key" not in found:
            raise OptionError(f"{_damaged(path)}: its first line names no teacher")
        if any(found.get(name) != self._header[name] for name in ("key", "width", "version")):
            raise OptionError(
                f"{printable(str(self.folder))} is the cache of another teacher: "
                f"{found.get('teacher')!s:.100} ({found.get('layers')!s:.100}), and not "
                f"{self._header['teacher']} ({self._header['layers']}); give another --cache"
            )


class Filling:
    """A cache that is open for more rows."""

    def __init__(self, cache: RowCache, journal: BinaryIO, rows: BinaryIO) -> None:
        self.cache, self._journal, self._file = cache, journal, rows

    def add(self, clips: Sequence[ClipAtSpeed], rows: Sequence[NDArray[np.float16]]) -> None:
        """Append the rows of clips, each float16 [frames, width], and then journal them."""
        cache = self.cache
        self._file.writelines(np.ascontiguousarray(part).tobytes() for part in rows)
        self._file.flush()
        os.fsync(self._file.fileno())
        lines = []
        for clip, part in zip(clips, rows, strict=True):
            cache._known[clip] = Stretch(cache._frames, len(part))  # noqa: SLF001 - its other half
            cache._frames += len(part)  # noqa: SLF001
            lines.append(_line({"clip": clip.clip, "speed": clip.speed, "frames": len(part)}))
        self._journal.write(b"".join(lines))
        self._journal.flush()


def amount(count: int) -> str:
    """Bytes as people count the room on a disk."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _line(record: Mapping[str, object]) -> bytes:
    return (json.dumps(record) + "\n").encode()


def _damaged(path: Path) -> str:
    return (
        f"{printable(str(path))}: the cache is damaged; remove its folder and run again, or give "
        "another --cache"
    )
