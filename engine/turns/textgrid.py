"""Praat's TextGrid, long and short form: an interval tier a speaker."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..errors import TurnFileError
from .given import GivenTurn

_TOKEN = re.compile(r'"((?:[^"]|"")*)"|<(exists|absent)>|(-?\d[^\s"<]*)')
"""A text, a flag or a number; words and brackets between them only explain."""

MOST_TIERS = 1_000


class _Tokens:
    """The values of a TextGrid in order. The long form is the short one with explanations."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self._text = _without_explanations(text)
        self._matches = _TOKEN.finditer(self._text)
        self._at = 0
        self.line = 1
        """Line of the value that was taken last, from 1."""

    def next(self) -> re.Match[str]:
        """The next value; TurnFileError at the end."""
        match = next(self._matches, None)
        if match is None:
            raise TurnFileError(
                f"{self.name}: the TextGrid ends too early, after line {self.line}; get a whole "
                "copy"
            )
        self.line += self._text.count("\n", self._at, match.start())
        self._at = match.start()
        return match

    def text(self) -> str:
        """The next value, which is a text."""
        match = self.next()
        if match.group(1) is None:
            raise self._unexpected(match, "a text in quotation marks")
        return match.group(1).replace('""', '"')

    def real(self) -> float:
        """The next value, which is a number."""
        match = self.next()
        try:
            return float(match.group(3) or "")
        except ValueError:
            raise self._unexpected(match, "a number") from None

    def count(self) -> int:
        """The next value, which is a whole number from 0."""
        value = self.real()
        if not 0 <= value < 1e9 or value != int(value):
            raise TurnFileError(f"{self.name}: line {self.line}: {value:g} is no count")
        return int(value)

    def _unexpected(self, match: re.Match[str], wanted: str) -> TurnFileError:
        return TurnFileError(
            f"{self.name}: line {self.line}: {match.group(0)[:40]!r} where a TextGrid has {wanted}"
        )


def read_textgrid(text: str, name: str) -> Iterator[GivenTurn]:
    """Intervals with a text of every interval tier; the tier's name stands for the speaker."""
    if '"ooTextFile"' not in text[:200]:
        raise TurnFileError(f'{name}: line 1: a TextGrid begins with File type = "ooTextFile"')
    tokens = _Tokens(text, name)
    header = [tokens.text(), tokens.text()]
    if header[1] != "TextGrid":
        raise TurnFileError(
            f"{name}: line {tokens.line}: holds a {header[1][:40]!r}, not a TextGrid"
        )
    tokens.real(), tokens.real(), tokens.next()
    tiers = tokens.count()
    if tiers > MOST_TIERS:
        raise TurnFileError(
            f"{name}: line {tokens.line}: {tiers} tiers; at most {MOST_TIERS} are read"
        )
    for _ in range(tiers):
        kind, speaker = tokens.text(), tokens.text()
        tokens.real(), tokens.real()
        for _ in range(tokens.count()):
            start, line = tokens.real(), tokens.line
            if kind != "IntervalTier":  # a point has a time and a text
                tokens.text()
                continue
            end, said = tokens.real(), tokens.text()
            if said.strip():
                yield GivenTurn(start, end, speaker or None, said.strip(), line)


def _without_explanations(text: str) -> str:
    """The text without ``item [1]:`` and comments, whose digits are no values."""
    lines = []
    for line in text.splitlines():
        plain = line.lstrip()
        if plain.startswith("!") or (plain.endswith(":") and '"' not in plain):
            lines.append("")
            continue
        lines.append(re.sub(r"^\s*intervals: size\b|^\s*points: size\b", "", line))
    return "\n".join(lines)
