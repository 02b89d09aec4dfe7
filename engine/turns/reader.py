"""The one door for files of turns: format by content and ending, text → turns."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from ..errors import TurnFileError
from ..files import printable, read_regular
from .documents import read_json
from .given import GivenTurn, TurnsSource, checked_turns
from .lines import read_audacity, read_ctm, read_rttm
from .subtitles import read_srt, read_vtt
from .textgrid import read_textgrid

MOST_BYTES = 64 << 20
"""Largest file that is read: a day of speech takes some megabytes in any format."""
MOST_TURNS = 1_000_000

READERS: dict[str, Callable[[str, str], Iterable[GivenTurn]]] = {
    ".rttm": read_rttm,
    ".ctm": read_ctm,
    ".srt": read_srt,
    ".vtt": read_vtt,
    ".textgrid": read_textgrid,
    ".json": read_json,
    ".txt": read_audacity,
}
"""Ending of a file → its reader, which takes the text and the name for messages."""


def read_turns(path: str | os.PathLike[str]) -> list[GivenTurn]:
    """Read the turns of a recording, in order of their start.

    Args:
        path: RTTM, CTM, SRT, WebVTT, a Praat TextGrid, Audacity labels (``.txt``), or the JSON of
            WhisperX or FunASR.

    Raises:
        TurnFileError: the file cannot be read, has another ending, or a line of it is damaged.
    """
    name = printable(os.fspath(path))
    suffix = Path(path).suffix.lower()
    if suffix not in READERS:
        raise TurnFileError(f"{name}: turns are read from {', '.join(READERS)}")
    turns: list[GivenTurn] = []
    for turn in READERS[suffix](_text(Path(path), name), name):
        turns.append(turn)
        if len(turns) > MOST_TURNS:
            raise TurnFileError(f"{name}: more than {MOST_TURNS:,} turns")
    if not turns:
        raise TurnFileError(f"{name}: no turns in it")
    return checked_turns(turns, name)


def _text(path: Path, name: str) -> str:
    try:
        content = read_regular(path, MOST_BYTES)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise TurnFileError(f"{name}: cannot be read: {reason}") from None
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(encoding)  # Praat writes UTF-16 where a text is not ASCII
    except UnicodeDecodeError as error:
        raise TurnFileError(
            f"{name}: byte {error.start} is not {encoding}; save it as UTF-8"
        ) from None


def as_turns(turns: TurnsSource) -> list[GivenTurn]:
    """Turns of a file, or turns as they are given, in order of their start.

    Raises:
        TurnFileError: as :func:`read_turns`; a turn is not (start, end, speaker).
    """
    if isinstance(turns, str | os.PathLike):
        return read_turns(turns)
    kept = []
    for number, turn in enumerate(turns, 1):
        if isinstance(turn, GivenTurn):
            kept.append(turn)
            continue
        try:
            start, end, speaker = turn
            kept.append(GivenTurn(float(start), float(end), speaker, line=number))
        except (TypeError, ValueError):
            raise TurnFileError(
                f"turn {number} is {turn!r:.60}; give (start, end, speaker) in seconds"
            ) from None
    return checked_turns(kept, "<turns>")
