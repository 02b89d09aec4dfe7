"""Checks of an output before anything is computed for it."""

from __future__ import annotations

from pathlib import Path

from emotion2vec_edge.engine.errors import OptionError


def check_free(output: Path, *, overwrite: bool) -> None:
    """Refuse an output that exists.

    Raises:
        OptionError: it exists and may not be overwritten.
    """
    if output.exists() and not overwrite:
        raise OptionError(f"{output} exists already; give another -o, or --overwrite")
