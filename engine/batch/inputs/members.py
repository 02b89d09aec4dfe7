"""Datasets among the inputs of a batch, and their recordings."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace

from ...datasets.archives import ARCHIVE_SUFFIX, Archive
from ...datasets.hub import HubDataset
from ...datasets.members import Member
from ...datasets.tables import TABLE_SUFFIX, AudioTable, pyarrow_modules
from .input_file import FileState, InputFile
from .places import safe_place, unique_place


def with_datasets(items: Iterable[InputFile], column: str | None = None) -> list[InputFile]:
    """The inputs, of which archives and tables are known as datasets.

    Args:
        items: the inputs.
        column: name of the column of audio in tables; None finds it.

    Raises:
        MissingExtraError: a package that reads one of them is not installed.
    """
    known = []
    for item in items:
        suffix = os.path.splitext(item.path)[1].lower()
        if suffix == TABLE_SUFFIX:
            pyarrow_modules()  # or each table would fail without it
            item = replace(item, dataset=AudioTable(item.path, column))  # noqa: PLW2901
        elif suffix == ARCHIVE_SUFFIX:
            item = replace(item, dataset=Archive(item.path))  # noqa: PLW2901
        known.append(item)
    return known


def hub_item(dataset: HubDataset) -> InputFile:
    """A dataset of Hugging Face's as an input."""
    return InputFile(dataset.name, safe_place(dataset.name), dataset=dataset)


def recordings(item: InputFile) -> Iterator[InputFile]:
    """The recordings of an input: of a dataset as they are found, or itself.

    Raises:
        AudioError, OptionError: the dataset cannot be read, or not further than this.
    """
    if item.dataset is None:
        yield item
        return
    archive = FileState.of(item.path)
    taken: set[str] = set()
    for member in item.dataset.members():
        yield _recording(item, member, archive, taken)


def _recording(
    item: InputFile, member: Member, archive: FileState | None, taken: set[str]
) -> InputFile:
    path = f"{item.path}#{member.name}"
    place = unique_place(safe_place(f"{item.place}/{member.name}"), path, taken)
    stored = member.source
    if isinstance(stored, str):
        return InputFile(stored, place, member.id)
    if stored.content is not None:
        state = FileState(len(stored.content), 0, zlib.crc32(stored.content))
    else:
        state = FileState(stored.size, archive.mtime_ns if archive else 0)
    return InputFile(path, place, member.id, stored=stored, state=state)
