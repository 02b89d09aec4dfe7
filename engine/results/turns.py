"""The emotion of each turn of a conversation, and a summary of each speaker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..audio.meter import AudioWarning

STRONGEST = 3
"""Turns that a summary names for a speaker."""

NOBODY = "unknown speaker"
"""Name in a summary for turns without a speaker."""


@dataclass(frozen=True)
class Turn:
    """One turn, encoded alone: the model heard nothing of what was said around it."""

    start: float
    """Seconds from the start of the recording."""
    end: float
    """Seconds from the start of the recording."""
    speaker: str | None
    text: str | None
    """The words, where the file of turns had them."""
    emotion: str
    confidence: float
    scores: Mapping[str, float]
    """Probability by label id, in the model's order."""
    warnings: tuple[AudioWarning, ...]
    embedding: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    """float32 [dim]: mean of the frame embeddings, where it was asked for."""

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.end - self.start

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; the embedding is left out."""
        return {
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "speaker": self.speaker,
            "text": self.text,
            "emotion": self.emotion,
            "confidence": self.confidence,
            "scores": dict(self.scores),
            "warnings": [{"code": w.code, "message": w.message} for w in self.warnings],
        }


@dataclass(frozen=True)
class SpeakerSummary:
    """All turns of one speaker together."""

    speaker: str
    turns: int
    seconds: float
    """Seconds of speech."""
    shares: Mapping[str, float]
    """Share of the speech by emotion, largest first."""
    scores: Mapping[str, float]
    """Mean probability by label id, weighted by the length of the turns."""
    strongest: tuple[Turn, ...]
    """Turns with the most confident emotion other than neutral, best first."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "speaker": self.speaker,
            "turns": self.turns,
            "seconds": round(self.seconds, 3),
            "shares": dict(self.shares),
            "scores": dict(self.scores),
            "strongest": [
                {
                    "start": round(turn.start, 3),
                    "end": round(turn.end, 3),
                    "emotion": turn.emotion,
                    "confidence": turn.confidence,
                }
                for turn in self.strongest
            ],
        }


def summarize_speakers(turns: Sequence[Turn]) -> list[SpeakerSummary]:
    """One summary a speaker, in order of their first turn."""
    by_speaker: dict[str, list[Turn]] = {}
    for turn in turns:
        by_speaker.setdefault(turn.speaker or NOBODY, []).append(turn)
    return [_summary(speaker, own) for speaker, own in by_speaker.items()]


def _summary(speaker: str, turns: Sequence[Turn]) -> SpeakerSummary:
    seconds = sum(turn.seconds for turn in turns)
    by_emotion: dict[str, float] = {}
    for turn in turns:
        by_emotion[turn.emotion] = by_emotion.get(turn.emotion, 0.0) + turn.seconds
    ranked = sorted(by_emotion.items(), key=lambda item: -item[1])
    felt = [turn for turn in turns if turn.emotion not in ("neutral", "other", "unknown")]
    return SpeakerSummary(
        speaker=speaker,
        turns=len(turns),
        seconds=seconds,
        shares={emotion: own / seconds for emotion, own in ranked},
        scores={
            label: sum(turn.scores[label] * turn.seconds for turn in turns) / seconds
            for label in turns[0].scores
        },
        strongest=tuple(sorted(felt, key=lambda turn: -turn.confidence)[:STRONGEST]),
    )
