"""What a batch is to work on: folders, globs, lists, and the recordings that they name."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from ..audio.types import AUDIO_SUFFIXES
from ..errors import OptionError
from ..files import printable

LIST_SUFFIXES = frozenset([".list", ".lst", ".txt"])
MOST_NAME_BYTES = 200
MOST_PLACE_BYTES = 1_000


@dataclass(frozen=True)
class InputFile:
    """One recording to work on."""

    path: str
    """As it is opened."""
    place: str
    """Where its results belong, relative to the folder of results, with forward slashes."""
    id: str | None = None
    """Its utterance id, from a Kaldi list."""
    problem: str | None = None
    """Why it cannot be worked on, where that is known already."""

    @property
    def file(self) -> str:
        """The path as text that can be written down, whatever bytes it is made of."""
        return printable(self.path)


def collect(inputs: Sequence[str], stdin: IO[str]) -> list[InputFile]:
    """Find the recordings behind what a user named; each once, in order.

    Args:
        inputs: folders (searched through and through for the usual endings, hidden files left
            out), glob patterns, lists of paths (``.txt``, ``.lst``, ``.list``), Kaldi's ``wav.scp``
            (``.scp``), recordings, and ``-``: a list on stdin. A relative path in a list starts
            from the current folder, else from that of the list.
        stdin: where ``-`` is read from.

    Raises:
        OptionError: an input that is not there, or holds no recording.
    """
    items: dict[str, InputFile] = {}
    for name in inputs:
        seen = False
        for item in _items(name, stdin):
            seen = True
            items.setdefault(os.path.abspath(item.path), item)
        if not seen:
            raise OptionError(f"{printable(name)}: no recordings {_where(name)}")
    return _placed(items.values())


def _where(name: str) -> str:
    if Path(name).is_dir():
        return f"in this folder; endings looked for: {' '.join(sorted(AUDIO_SUFFIXES))}"
    return "in this list" if name == "-" or Path(name).is_file() else "match this pattern"


def _items(name: str, stdin: IO[str]) -> Iterator[InputFile]:
    path = Path(name)
    if name == "-":
        yield from _listed(stdin, None)
    elif path.is_dir():
        yield from _walked(name)
    elif path.suffix.lower() in LIST_SUFFIXES or path.suffix.lower() == ".scp":
        try:
            with path.open(encoding="utf-8", errors="surrogateescape") as file:
                yield from _kaldi(file) if path.suffix == ".scp" else _listed(file, path.parent)
        except OSError as error:
            raise OptionError(f"{printable(name)}: cannot be read: {error.strerror}") from None
    elif any(sign in name for sign in "*?[") and not path.exists():
        for found in sorted(glob.glob(name, recursive=True)):
            if os.path.isfile(found):
                yield InputFile(found, found)
    else:
        yield InputFile(name, name)


def _walked(folder: str) -> Iterator[InputFile]:
    problems: list[OSError] = []
    base = os.path.dirname(os.path.abspath(folder))
    for place, folders, files in os.walk(folder, onerror=problems.append):
        folders.sort()
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in sorted(files):
            if os.path.splitext(name)[1].lower() in AUDIO_SUFFIXES and name[0] != ".":
                path = os.path.join(place, name)
                yield InputFile(path, os.path.relpath(os.path.abspath(path), base))
    for error in problems:
        yield InputFile(str(error.filename), str(error.filename), problem=f"{error.strerror}")


def _listed(lines: Iterable[str], folder: Path | None) -> Iterator[InputFile]:
    for line in lines:
        path = line.strip("\r\n")
        if not path.strip() or path.startswith("#"):
            continue
        beside = path if folder is None else str(folder / path)
        yield InputFile(path if folder is None or Path(path).exists() else beside, path)


def _kaldi(lines: Iterable[str]) -> Iterator[InputFile]:
    for line in lines:
        if not line.strip():
            continue
        key, _, path = line.strip().partition(" ")
        path = path.strip()
        problem = None
        if not path:
            problem = "a line of wav.scp is an id and a path"
        elif path.endswith("|"):
            problem = "a command in wav.scp is not run; write its output to a file and name that"
        yield InputFile(path or key, key, id=key, problem=problem)


def _placed(items: Iterable[InputFile]) -> list[InputFile]:
    """Give every item a place of its own, inside the folder of results whatever its name holds."""
    taken: set[str] = set()
    placed = []
    for item in items:
        place = safe_place(item.place)
        if place.casefold() in taken:  # some file systems know no case
            place = f"{place}~{_digest(os.path.abspath(item.path))}"
        taken.add(place.casefold())
        placed.append(InputFile(item.path, place, item.id, item.problem))
    return placed


def safe_place(path: str) -> str:
    """A relative path that stays below where it starts, and that file systems take."""
    parts = [
        _safe_name(part) for part in PurePosixPath(path).parts if part not in ("/", "//", "..")
    ]
    place = "/".join(parts) or "recording"
    if len(place.encode()) > MOST_PLACE_BYTES:
        place = f"{_digest(path)}/{parts[-1]}"
    return place


def _safe_name(name: str) -> str:
    safe = "".join(c if c.isprintable() and c != "\\" else "_" for c in printable(name))
    if len(safe.encode()) > MOST_NAME_BYTES:
        head = safe.encode()[: MOST_NAME_BYTES - 9].decode("utf-8", "ignore")
        safe = f"{head}~{_digest(name)}"
    return safe


def _digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:8]
