"""Results as frozen dataclasses, and their dict form for JSON.

Times are seconds from the start of the clip. Scores are probabilities by label id and sum to 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from ..audio.meter import AudioWarning
from ..audio.normalized import Normalization
from ..errors import OptionError
from ..settings import TOP, ProviderName


@dataclass(frozen=True)
class Timings:
    """Wall-clock seconds that a recording took."""

    decode: float
    """Seconds of reading, decoding and resampling."""
    encode: float
    """Seconds of the model."""


@dataclass(frozen=True)
class Utterance:
    """The emotion of a whole clip."""

    emotion: str
    """Label id of the highest score; ``unknown`` if that score is below ``reject_below``."""
    confidence: float
    """The highest score."""
    scores: Mapping[str, float]
    """Probabilities by label id, in the model's order."""
    embedding: NDArray[np.float32] = field(repr=False)
    """float32 [dim]: mean of the frame embeddings."""
    seconds: float
    """Length of the clip, in seconds."""
    warnings: tuple[AudioWarning, ...]
    timings: Timings
    normalization: Normalization
    """``whole``: by the statistics of the whole clip; ``running``: of a long pipe, those so far."""
    model: str
    """Name of the model."""
    provider: ProviderName
    """Name of the execution provider that ran it."""
    calibrated: bool = False
    """True if the confidence was calibrated on held-out speech: 0.8 is right 4 times out of 5."""
    restricted: bool = False
    """True if only some of the model's labels could be the answer: those that have a score."""
    speech_seconds: float | None = None
    """Seconds of speech, which alone were pooled; None if the whole clip was."""

    def top(self, count: int = TOP) -> list[tuple[str, float]]:
        """The ``count`` highest pairs of label and score, best first.

        Raises:
            OptionError: ``count`` is under 1.
        """
        if count < 1:
            raise OptionError(f"top({count}): give at least 1")
        ranked = sorted(self.scores.items(), key=lambda item: item[1], reverse=True)
        return ranked[:count]

    def to_dict(self, top: int = TOP) -> dict[str, Any]:
        """JSON-ready form, without the embedding, which belongs in a ``.npy``."""
        return {
            "emotion": self.emotion,
            "confidence": self.confidence,
            "calibrated": self.calibrated,
            "restricted": self.restricted,
            "scores": dict(self.scores),
            "top": [{"emotion": label, "confidence": score} for label, score in self.top(top)],
            "seconds": self.seconds,
            **({} if self.speech_seconds is None else {"speech_seconds": self.speech_seconds}),
            "warnings": [{"code": w.code, "message": w.message} for w in self.warnings],
            "normalization": self.normalization,
            "model": self.model,
            "provider": self.provider,
            "timings": {"decode": self.timings.decode, "encode": self.timings.encode},
        }


@dataclass(frozen=True)
class Window:
    """The emotion of one window of a clip."""

    start: float
    """Seconds from the start of the clip."""
    end: float
    emotion: str
    """Label id of the highest score; ``unknown`` if that score is below ``reject_below``."""
    confidence: float
    """The highest score."""
    scores: Mapping[str, float]
    """Probabilities by label id, in the model's order."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "start": self.start,
            "end": self.end,
            "emotion": self.emotion,
            "confidence": self.confidence,
            "scores": dict(self.scores),
        }


@dataclass(frozen=True)
class Segment:
    """A run of windows with one emotion."""

    start: float
    """Seconds from the start of the clip."""
    end: float
    emotion: str
    confidence: float
    """Mean score of the emotion over the run's windows."""


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


@dataclass(frozen=True)
class Conversation(Sequence[Turn]):
    """The turns of a recording in order of their start: a sequence of :class:`Turn`."""

    turns: tuple[Turn, ...]
    seconds: float
    """Length of the recording, in seconds."""
    labels: tuple[str, ...]
    """Label ids in the model's order."""
    warnings: tuple[AudioWarning, ...]
    """Warnings about the recording as a whole."""
    model: str
    """Name of the model."""
    provider: ProviderName
    """Name of the execution provider that ran it."""
    calibrated: bool = False
    """True if the confidences were calibrated on held-out speech."""
    restricted: bool = False
    """True if only some of the model's labels could be the answer: those that have a score."""
    baseline: bool = False
    """True if each speaker's own level was subtracted from his turns."""

    def __len__(self) -> int:
        return len(self.turns)

    @overload
    def __getitem__(self, index: int) -> Turn: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Turn, ...]: ...
    def __getitem__(self, index: int | slice) -> Turn | tuple[Turn, ...]:
        return self.turns[index]

    def __iter__(self) -> Iterator[Turn]:
        return iter(self.turns)

    def speakers(self) -> list[SpeakerSummary]:
        """One summary a speaker, in order of their first turn."""
        return summarize_speakers(self.turns)

    def embeddings(self) -> NDArray[np.float32]:
        """Embeddings of the turns, where they were asked for: float32 [turns, dim].

        The row of a turn that is too short for the model is NaN.
        """
        known = [turn.embedding for turn in self.turns if turn.embedding is not None]
        missing = np.full(known[0].shape if known else (0,), np.nan, np.float32)
        rows = [missing if turn.embedding is None else turn.embedding for turn in self.turns]
        return np.stack(rows) if rows else np.zeros((0, 0), np.float32)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form, without the turns."""
        return {
            "calibrated": self.calibrated,
            "restricted": self.restricted,
            "baseline": self.baseline,
            "seconds": self.seconds,
            "warnings": [{"code": w.code, "message": w.message} for w in self.warnings],
            "model": self.model,
            "provider": self.provider,
            "speakers": [summary.to_dict() for summary in self.speakers()],
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
