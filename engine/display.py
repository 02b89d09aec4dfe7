"""Sizes, durations and shares as people read them."""

from __future__ import annotations

import re
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


_ADDRESS = re.compile(r"([A-Za-z][\w+.-]*://)([^\s'\"]*)")
_HOST = re.compile(r"([\w.-]+|\[[\da-fA-F:.]+\])(:\d+)?")


def redacted(text: str) -> str:
    """A text whose addresses show scheme, host and port alone.

    Passwords lie before the ``@``, and, where cameras and web hooks have them, in the path or in
    the query. A host that cannot be told from a password is left out too.
    """
    return _ADDRESS.sub(lambda match: match[1] + _host(match[2]), text)


def _host(rest: str) -> str:
    """Host and port of what follows ``://``; an ellipsis for all that is left out."""
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    _, _, host = authority.rpartition("@")
    if "@" in rest[len(authority) :] or not _HOST.fullmatch(host):
        return "…"
    return host if host == rest else f"{host}/…" if host == authority else f"…@{host}/…"


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
