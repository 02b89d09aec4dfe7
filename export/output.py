"""Checks of an output folder or file before anything is computed for it."""

from __future__ import annotations

from pathlib import Path

from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.files import is_empty_folder


def check_output(output: Path, marker: str | None, *, overwrite: bool) -> None:
    """Refuse an output that exists and may not be replaced.

    Args:
        output: the folder or file.
        marker: name of the file that a folder must hold to be replaced; None for a file.
        overwrite: the user allows replacing it.

    Raises:
        OptionError: it exists, and may not be overwritten or is something else.
    """
    if not output.exists() or (marker is not None and is_empty_folder(output)):
        return
    if not overwrite:
        raise OptionError(f"{output} exists already; give another -o, or --overwrite")
    if marker is not None and not (output / marker).is_file():
        raise OptionError(f"{output} holds no {marker}; it will not be overwritten")
    if marker is None and not output.is_file():
        raise OptionError(f"{output} is not a file; it will not be overwritten")
