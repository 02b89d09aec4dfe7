"""Formats with a turn a line: RTTM, CTM and Audacity's labels."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import TurnFileError
from .given import GivenTurn, seconds_of

WORD_GAP = 0.6
"""Seconds between two words of one speaker, in CTM, from which on they belong to two turns."""

RTTM_FIELDS = 8
CTM_FIELDS = 5


def read_rttm(text: str, name: str) -> Iterator[GivenTurn]:
    """SPEAKER lines of Rich Transcription Time Marked; other lines are left out."""
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if not fields or fields[0] != "SPEAKER":
            continue
        if len(fields) < RTTM_FIELDS:
            raise TurnFileError(
                f"{name}: line {number}: SPEAKER has {len(fields)} fields where RTTM has at least "
                f"{RTTM_FIELDS}: type, file, channel, start, duration, text, subtype, speaker"
            )
        start = seconds_of(fields[3], name, number)
        end = start + seconds_of(fields[4], name, number)
        speaker = None if fields[7] == "<NA>" else fields[7]
        yield GivenTurn(start, end, speaker, line=number)


def read_ctm(text: str, name: str) -> Iterator[GivenTurn]:
    """Words of a CTM, joined to turns where the pause between them is short.

    The channel stands for the speaker.
    """
    waiting: dict[str, GivenTurn] = {}
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if not fields or line.startswith(";;"):
            continue
        if len(fields) < CTM_FIELDS:
            raise TurnFileError(
                f"{name}: line {number}: {len(fields)} fields where CTM has at least {CTM_FIELDS}: "
                "file, channel, start, duration, word"
            )
        channel, word = fields[1], fields[4]
        start = seconds_of(fields[2], name, number)
        end = start + seconds_of(fields[3], name, number)
        before = waiting.get(channel)
        if before is not None and start - before.end < WORD_GAP:
            waiting[channel] = GivenTurn(
                before.start, max(before.end, end), channel, f"{before.text} {word}", before.line
            )
            continue
        if before is not None:
            yield before
        waiting[channel] = GivenTurn(start, end, channel, word, number)
    yield from waiting.values()


def read_audacity(text: str, name: str) -> Iterator[GivenTurn]:
    """A label track of Audacity; the label stands for the speaker."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("\\"):  # frequencies of the label above
            continue
        fields = line.split("\t")
        if len(fields) < 2:
            raise TurnFileError(
                f"{name}: line {number}: Audacity's labels are start, end and label, with a tab "
                "between them"
            )
        start, end = (seconds_of(field, name, number) for field in fields[:2])
        label = fields[2].strip() if len(fields) > 2 else ""
        yield GivenTurn(start, end, label or None, line=number)
