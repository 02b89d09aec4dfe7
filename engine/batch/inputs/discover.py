"""Discovery of recordings: folders, glob patterns and lists, and the files that they name."""

from __future__ import annotations

import glob
import io
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import IO

from ...audio.types import AUDIO_SUFFIXES
from ...datasets.archives import ARCHIVE_SUFFIX
from ...datasets.tables import TABLE_SUFFIX
from ...errors import OptionError
from ...files import printable
from ...objects import check_client, find, is_prefix, is_url, read_text
from .input_file import InputFile
from .places import identity_of, placed

LIST_SUFFIXES = frozenset([".list", ".lst", ".txt"])
KALDI_SUFFIX = ".scp"
DATASET_SUFFIXES = frozenset([ARCHIVE_SUFFIX, TABLE_SUFFIX])


def collect(inputs: Sequence[str], stdin: IO[str], *, datasets: bool = False) -> list[InputFile]:
    """Find the recordings that a user named; each once, in order.

    Only regular files are read: a pipe may never end. Others are listed with the problem.

    Args:
        inputs: folders (searched with all folders below for the usual endings, without hidden
            files), glob patterns, lists of paths (``.txt``, ``.lst``, ``.list``), Kaldi's
            ``wav.scp`` (``.scp``), recordings, and ``-``: a list on stdin. A relative path in a
            list starts from the current folder, else from that of the list. All but ``-`` may be
            URLs of a store, and so may paths in lists.
        stdin: the list for ``-``.
        datasets: take the archives and the tables of a folder or a prefix without recordings.

    Raises:
        OptionError: an input that is not there, or holds no recording.
    """
    searches = (AUDIO_SUFFIXES, DATASET_SUFFIXES) if datasets else (AUDIO_SUFFIXES,)
    items: dict[str, InputFile] = {}
    for name in inputs:
        found = next(filter(None, (list(_items(name, stdin, ends)) for ends in searches)), ())
        for item in found:
            items.setdefault(identity_of(item.path), _checked(item))
        if not found:
            raise OptionError(f"{printable(name)}: no recordings {_where(name, searches)}")
    return placed(items.values())


def _where(name: str, searches: Sequence[frozenset[str]]) -> str:
    if is_url(name) or os.path.isdir(name):
        ends = " ".join(" ".join(sorted(ends)) for ends in searches)
        return f"{'there' if is_url(name) else 'in this folder'}; endings looked for: {ends}"
    return "in this list" if name == "-" or os.path.isfile(name) else "match this pattern"


def _items(name: str, stdin: IO[str], ends: frozenset[str]) -> Iterator[InputFile]:
    """Files that an input names; of a folder or a prefix, those with these endings."""
    suffix = os.path.splitext(name)[1].lower()
    if is_url(name):
        yield from _in_store(name, suffix, ends)
    elif name == "-":
        try:
            yield from _listed(stdin, None)
        except OSError as error:
            raise OptionError(f"stdin: cannot be read: {error.strerror}") from None
    elif os.path.isdir(name):
        yield from _walked(name, ends)
    elif suffix in LIST_SUFFIXES or suffix == KALDI_SUFFIX:
        try:
            with open(name, encoding="utf-8", errors="surrogateescape") as file:
                folder = os.path.dirname(name)
                yield from _kaldi(file) if suffix == KALDI_SUFFIX else _listed(file, folder)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            reason = getattr(error, "strerror", None) or str(error)
            raise OptionError(f"{printable(name)}: cannot be read: {reason}") from None
    elif any(sign in name for sign in "*?[") and not os.path.exists(name):
        for found in sorted(glob.glob(name, recursive=True)):
            if not os.path.isdir(found):
                yield InputFile(found, found)
    else:
        yield InputFile(name, name)


def _in_store(url: str, suffix: str, ends: frozenset[str]) -> Iterator[InputFile]:
    """The recordings that a URL names: a prefix, a pattern, a list or an object."""
    try:
        if suffix in LIST_SUFFIXES or suffix == KALDI_SUFFIX:
            lines = io.StringIO(read_text(url))
            yield from _kaldi(lines) if suffix == KALDI_SUFFIX else _listed(lines, url)
        elif any(sign in url for sign in "*?["):
            yield from (InputFile(found, _store_place(found)) for found in find(url))
        elif is_prefix(url):
            base = url.rstrip("/").rpartition("/")[0] + "/"
            for found in find(url):
                name = found.rpartition("/")[2]
                if os.path.splitext(name)[1].lower() in ends and name[0] != ".":
                    place = found.removeprefix(base)
                    yield InputFile(found, _store_place(place))
        else:
            yield InputFile(url, _store_place(url))
    except OSError as error:
        reason = error.strerror or str(error)
        raise OptionError(f"{printable(url)}: cannot be read: {reason}") from None


def _store_place(url: str) -> str:
    return url.partition("://")[2] or url


def _walked(folder: str, ends: frozenset[str]) -> Iterator[InputFile]:
    problems: list[OSError] = []
    base = os.path.dirname(os.path.abspath(folder))
    for place, folders, files in os.walk(folder, onerror=problems.append):
        folders.sort()
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in sorted(files):
            if os.path.splitext(name)[1].lower() in ends and name[0] != ".":
                path = os.path.join(place, name)
                yield InputFile(path, os.path.relpath(os.path.abspath(path), base))
    for error in problems:
        yield InputFile(str(error.filename), str(error.filename), problem=f"{error.strerror}")


def _listed(lines: Iterable[str], folder: str | None) -> Iterator[InputFile]:
    for line in lines:
        path = line.strip("\r\n")
        if not path.strip() or path.startswith("#"):
            continue
        if is_url(path):
            yield InputFile(path, _store_place(path))
            continue
        if folder is not None and is_url(folder):  # the list lies in a store
            url = f"{folder.rpartition('/')[0]}/{path}"
            yield InputFile(url, path)
            continue
        here = folder is None or os.path.exists(path)
        yield InputFile(path if here else os.path.join(folder or "", path), path)


def _kaldi(lines: Iterable[str]) -> Iterator[InputFile]:
    for line in lines:
        if not line.strip():
            continue
        key, path = (*line.strip().split(None, 1), "")[:2]
        problem = None
        if not path:
            problem = "a line of wav.scp is an id and a path"
        elif path.endswith("|"):
            problem = "a command in wav.scp is not run; write its output to a file and name that"
        yield InputFile(path or key, key, id=key, problem=problem)


def _checked(item: InputFile) -> InputFile:
    """The item, with the problem that it is no regular file."""
    if is_url(item.path):
        check_client(item.path)  # or each recording would fail without it
        return item
    try:
        mode = os.stat(item.path).st_mode
    except (OSError, ValueError):  # said when it is opened
        return item
    if item.problem is not None or stat.S_ISREG(mode):
        return item
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    kind = kinds.get(stat.S_IFMT(mode), "a device")
    return replace(item, problem=f"is {kind}; a batch reads regular files")
