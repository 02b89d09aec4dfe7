"""Columns of audio: which one it is, and the recording in a cell."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..audio.types import StoredRecording
from ..errors import OptionError
from ..objects import is_url

PATH_NAMES = ("audio", "path", "file", "file_name", "filename", "audio_path", "wav", "url")
"""Names of columns of text that are taken for paths."""


def choose_column(name: str, types: Mapping[str, str], wanted: str | None) -> str:
    """The column of audio.

    Args:
        name: the dataset, for messages.
        types: the type of each column, by its name: ``audio`` for what holds recordings, ``text``,
            or any other word.
        wanted: name that the user gave; None takes the first column of recordings, else one of
            text that is called as paths are.

    Raises:
        OptionError: there is none.
    """
    has = ", ".join(f"{column} ({kind})" for column, kind in types.items()) or "no columns"
    if wanted is not None:
        if types.get(wanted) not in ("audio", "text"):
            problem = "holds no audio" if wanted in types else "is not there"
            raise OptionError(f"{name}: column {wanted!r} {problem}; it has {has}")
        return wanted
    found = [column for column, kind in types.items() if kind == "audio"]
    found += [column for column in PATH_NAMES if types.get(column) == "text"]
    if not found:
        raise OptionError(
            f"{name}: no column of audio; it has {has}; name a column of paths with --column"
        )
    return found[0]


def cell_source(name: str, cell: Any, folder: str) -> tuple[StoredRecording | str, str | None]:
    """The recording in a cell, and the path that the cell states.

    Args:
        name: the recording, for messages.
        cell: the bytes of a file, a path, or both as Hugging Face's ``{bytes, path}``.
        folder: folder or prefix that paths start from, if they are not found from here.
    """
    content, path = (
        (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
    )
    if isinstance(content, str):
        content, path = None, content
    if content is not None:
        return StoredRecording(name, bytes(content)), path
    if not path:
        return StoredRecording(name, problem="the cell is empty"), None
    if is_url(path) or os.path.isabs(path) or (not is_url(folder) and os.path.exists(path)):
        return path, path
    return (f"{folder}/{path}" if is_url(folder) else os.path.join(folder, path)), path
