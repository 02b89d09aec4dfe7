"""Folders that are written whole or not at all."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from emotion2vec_edge.engine.errors import OptionError, OutputError


def check_free(output: Path, *, overwrite: bool) -> None:
    """Refuse an output that is there already, before anything is computed for it."""
    if output.exists() and not overwrite:
        raise OptionError(f"{output} exists already; give another -o, or --overwrite")


@contextlib.contextmanager
def temporary_folder(output: Path) -> Iterator[Path]:
    """A folder beside the output, on the same disk, gone in the end whatever happens.

    Raises:
        OutputError: it, or what is done inside, cannot be written.
    """
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=output.parent, prefix=f".{output.name}."))
    except OSError as error:
        raise OutputError(f"{output}: cannot be written: {error.strerror}") from None
    try:
        yield folder
    except OSError as error:
        raise OutputError(f"{output}: cannot be written: {error}; nothing was changed") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def written_whole(output: Path, marker: str) -> Iterator[Path]:
    """A folder to fill, renamed to the output when all went well.

    Args:
        output: where it goes.
        marker: the file that a folder must hold to be overwritten: no other kind of folder is.
    """
    with temporary_folder(output) as folder:
        new = folder / "new"
        new.mkdir()
        yield new
        if output.exists():
            if not (output / marker).is_file():
                raise OptionError(f"{output} holds no {marker}; it will not be overwritten")
            output.replace(folder / "old")
        new.replace(output)
