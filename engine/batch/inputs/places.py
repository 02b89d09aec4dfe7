"""Places of the results of a batch's recordings: safe for any file system, each its own."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import PurePosixPath

from ...files import printable
from ...objects import is_url
from ...results.writers.registry import SEGMENT_WRITERS
from .input_file import InputFile

RESULT_SUFFIXES = (".json", ".npy", *(writer.suffix for writer in SEGMENT_WRITERS.values()))
"""Endings of the files of one recording, after its place."""

MOST_NAME_BYTES = 200
MOST_PLACE_BYTES = 1_000


def identity_of(path: str) -> str:
    """One text for all names of a file."""
    return path if is_url(path) else os.path.abspath(path)


def placed(items: Iterable[InputFile]) -> list[InputFile]:
    """Give every item a place of its own, inside the folder of results whatever its name holds."""
    items = [replace(item, place=safe_place(item.place)) for item in items]
    taken = _folders_as_places(items)
    unique = []
    for item in items:
        place = unique_place(item.place, identity_of(item.path), taken)
        unique.append(replace(item, place=place))
    return unique


def unique_place(place: str, identity: str, taken: set[str]) -> str:
    """A place that no other has, which is noted.

    Args:
        place: the place that is wanted.
        identity: text for the recording that no other has.
        taken: places that others have, without case: some file systems know none.
    """
    if place.casefold() in taken:
        place = f"{place}~{_digest(identity)}"
    taken.add(place.casefold())
    return place


def _folders_as_places(items: Iterable[InputFile]) -> set[str]:
    """Places whose files would have the name of a folder: ``a.wav`` beside ``a.wav.json/``."""
    folders: set[str] = set()
    for item in items:
        folder = os.path.dirname(item.place.casefold())
        while folder and folder not in folders:
            folders.add(folder)
            folder = os.path.dirname(folder)
    return {
        folder.removesuffix(suffix)
        for folder in folders
        for suffix in map(str.casefold, RESULT_SUFFIXES)
        if folder.endswith(suffix)
    }


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
    return hashlib.sha256(printable(text).encode()).hexdigest()[:8]
