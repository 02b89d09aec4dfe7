"""A turn of a conversation as it is given, before its emotion is known."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from ..errors import TurnFileError
from ..settings import MOST_SECONDS


@dataclass(frozen=True)
class GivenTurn:
    """One stretch of a recording in which one person speaks."""

    start: float
    """Seconds from the start of the recording."""
    end: float
    """Seconds from the start of the recording."""
    speaker: str | None = None
    text: str | None = None
    """The words, where they are known."""
    line: int | None = None
    """Line of the file, from 1; number of the entry in formats without lines."""

    @property
    def place(self) -> str:
        """The turn, for messages."""
        line = "" if self.line is None else f"line {self.line}: "
        return f"{line}turn from {self.start:g} to {self.end:g} s"


TurnsSource: TypeAlias = (
    "Iterable[GivenTurn | tuple[float, float, str | None]] | str | os.PathLike[str]"
)
"""Path of a file of turns, or turns: (start, end, speaker) in seconds."""


def checked_turns(turns: Iterable[GivenTurn], name: str) -> list[GivenTurn]:
    """Turns in order of their start.

    Args:
        turns: as they were read.
        name: the file, for messages.

    Raises:
        TurnFileError: a time is negative, not finite or too large, a turn has no length, or its
            speaker or words are no text.
    """
    kept = list(turns)
    for turn in kept:
        for field, text in (("speaker", turn.speaker), ("text", turn.text)):
            if text is not None and not _is_text(text):
                raise TurnFileError(
                    f"{name}: {turn.place}: {field} is {text!r:.60}, which is no text"
                )
        if not (math.isfinite(turn.start) and math.isfinite(turn.end)):
            raise TurnFileError(f"{name}: {turn.place}: times must be finite numbers of seconds")
        if not 0 <= turn.start < turn.end <= MOST_SECONDS:
            raise TurnFileError(
                f"{name}: {turn.place}: a turn starts at 0 s or later, ends after it starts, and "
                f"ends by {MOST_SECONDS:,.0f} s"
            )
    return sorted(kept, key=lambda turn: (turn.start, turn.end))


def _is_text(value: object) -> bool:
    """True for a str that can be written: half of a surrogate pair, as JSON may have, cannot."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def seconds_of(text: str, name: str, line: int) -> float:
    """A number of seconds in a file.

    Raises:
        TurnFileError: it is no number.
    """
    try:
        return float(text)
    except ValueError:
        raise TurnFileError(f"{name}: line {line}: {text[:40]!r} is no number of seconds") from None
