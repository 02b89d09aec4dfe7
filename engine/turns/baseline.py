"""A speaker's own level, taken out of the answers about his turns.

Somebody who always speaks loudly reads as angry in every turn. The mean of the logits over all
turns of a speaker is what he always sounds like; subtracted, it leaves what differs from turn to
turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..metrics import softmax
from ..results.decision import REJECTED, decide
from ..results.types import Turn

LEAST_TURNS = 3
"""Turns of a speaker from which on he has a level; the mean of one is the turn itself."""

UNUSABLE = frozenset({"silent", "no speech"})
"""Codes of warnings of turns that say nothing about their speaker."""


def without_baseline(turns: Sequence[Turn], reject_below: float) -> list[Turn]:
    """Subtract the mean logits of each speaker from those of his turns.

    Args:
        turns: as they were encoded. Those without a known speaker, of a speaker with fewer than
            :data:`LEAST_TURNS`, and those without speech stay as they are.
        reject_below: confidence under which the answer is ``unknown``.
    """
    found = list(turns)
    by_speaker: dict[str, list[int]] = {}
    for number, turn in enumerate(found):
        if turn.speaker is not None and _usable(turn):
            by_speaker.setdefault(turn.speaker, []).append(number)
    for numbers in by_speaker.values():
        if len(numbers) < LEAST_TURNS:
            continue
        logits = np.stack([_logits(found[number]) for number in numbers])
        for number, own in zip(numbers, logits - logits.mean(axis=0), strict=True):
            found[number] = _with_scores(found[number], softmax(own), reject_below)
    return found


def _usable(turn: Turn) -> bool:
    too_short = turn.emotion == REJECTED and len(set(turn.scores.values())) == 1
    return not too_short and UNUSABLE.isdisjoint(warning.code for warning in turn.warnings)


def _logits(turn: Turn) -> NDArray[np.float64]:
    """Logits of a turn but for a constant, float64 [labels]."""
    scores = np.array(list(turn.scores.values()), np.float64)
    return np.log(np.maximum(scores, np.finfo(np.float32).tiny))


def _with_scores(turn: Turn, scores: NDArray[np.float32], reject_below: float) -> Turn:
    labels = list(turn.scores)
    emotion, confidence = decide(labels, scores, reject_below)
    return replace(
        turn,
        emotion=emotion,
        confidence=confidence,
        scores=dict(zip(labels, scores.tolist(), strict=True)),
    )
