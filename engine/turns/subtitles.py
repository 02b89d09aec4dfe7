"""Subtitles: SubRip and WebVTT. A cue is a turn."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from ..errors import TurnFileError
from .given import GivenTurn

_TIME = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_SPAN = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}")
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]{1,200})>")
_TAG = re.compile(r"<[^>]{0,200}>")
_SPEAKER = re.compile(r"\[?([^\W\d_][\w .-]{0,39})\]?:\s+(.*)", re.DOTALL)
"""``Ann: good morning``, as WhisperX and others write a speaker."""


def read_srt(text: str, name: str) -> Iterator[GivenTurn]:
    """SubRip."""
    return _cues(text, name)


def read_vtt(text: str, name: str) -> Iterator[GivenTurn]:
    """WebVTT."""
    if not text.startswith("WEBVTT"):
        raise TurnFileError(f"{name}: line 1: WebVTT begins with WEBVTT")
    return _cues(text, name)


def _cues(text: str, name: str) -> Iterator[GivenTurn]:
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        if "-->" not in line:
            continue
        match = _SPAN.match(line)
        if match is None:
            raise TurnFileError(
                f"{name}: line {number}: times of a cue read 00:00:01,000 --> 00:00:02,500"
            )
        at = number
        words = []
        while number < len(lines) and lines[number].strip() and "-->" not in lines[number]:
            words.append(lines[number].strip())
            number += 1
        speaker, said = _speaker("\n".join(words))
        yield GivenTurn(_seconds(match, 1), _seconds(match, 5), speaker, said or None, at)


def _seconds(match: re.Match[str], group: int) -> float:
    hours, minutes, seconds, fraction = match.group(group, group + 1, group + 2, group + 3)
    whole = 3600 * int(hours or 0) + 60 * int(minutes) + int(seconds)
    return whole + int(fraction.ljust(3, "0")) / 1000


def _speaker(cue: str) -> tuple[str | None, str]:
    voice = _VOICE.search(cue)
    plain = html.unescape(_TAG.sub("", cue)).strip()
    if voice is not None:
        return html.unescape(voice.group(1)).strip(), plain
    named = _SPEAKER.fullmatch(plain)
    return (named.group(1).strip(), named.group(2).strip()) if named else (None, plain)
