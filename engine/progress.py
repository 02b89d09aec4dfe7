"""Progress of long work."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[float, "float | None"], None]
"""Takes the seconds of audio that are done, and those there are (None: not known)."""
