"""Sizes, durations and shares as people read them."""

from __future__ import annotations

from typing import TextIO

CLEAR_LINE = "\r\x1b[K"
"""Moves a terminal to the start of its line and clears it."""


def size(count: int) -> str:
    """A number of bytes, such as ``9.0 MiB``."""
    return f"{count / 2**20:.1f} MiB"


def duration(seconds: float) -> str:
    """A duration, such as ``7.10 s``, ``71.2 s`` or ``3605 s``."""
    digits = 2 if seconds < 9.995 else 1 if seconds < 99.95 else 0
    return f"{seconds:.{digits}f} s"


def share_bar(share: float, width: int, out: TextIO) -> str:
    """A bar of up to ``width`` characters for a share from 0 to 1.

    Args:
        share: the share.
        width: characters of a whole bar.
        out: where it is written; if its encoding has no block character, the bar is of ``#``.
    """
    return _block(out) * round(width * share)


def _block(out: TextIO) -> str:
    try:
        "█".encode(out.encoding or "utf-8")  # io.StringIO has no encoding
    except (UnicodeEncodeError, LookupError):
        return "#"
    return "█"
