"""What the engine answers: frozen dataclasses, and their dict form for JSON.

Times are seconds from the start of the clip. Scores are probabilities by label id and sum to 1.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from .errors import OptionError
from .head import REJECTED, answer

OUTLINE_SECONDS = 0.02
"""One column of a waveform's outline."""


@dataclass(frozen=True)
class AudioWarning:
    """Something about the recording that makes its result less certain."""

    code: str
    """``short``, ``long``, ``silent``, ``clipped``, ``noisy``, ``cut``, ``incomplete``, or
    ``provider``: part of the work was done elsewhere."""
    message: str
    """What was measured, and what to do about it."""


@dataclass(frozen=True)
class Timings:
    """Where the time went, in seconds of wall clock."""

    decode: float
    encode: float


@dataclass(frozen=True)
class Utterance:
    """The emotion of a whole clip."""

    emotion: str
    """Label id of the highest score; ``unknown`` where that is under the limit that was set."""
    confidence: float
    """The highest score."""
    scores: Mapping[str, float]
    """By label id, in the model's order."""
    embedding: NDArray[np.float32] = field(repr=False)
    """float32 [dim]: mean of the frame embeddings."""
    seconds: float
    """Length of the clip."""
    warnings: tuple[AudioWarning, ...]
    timings: Timings
    normalization: str
    """``whole``: by the statistics of the whole clip; ``running``: of a long pipe, those so far."""
    model: str
    provider: str
    calibrated: bool = False
    """Whether a temperature fitted on held-out speech makes confidences mean what they say."""

    def top(self, count: int = 3) -> list[tuple[str, float]]:
        """The ``count`` highest (label, score), best first."""
        if count < 1:
            raise OptionError(f"top({count}): give at least 1")
        ranked = sorted(self.scores.items(), key=lambda item: item[1], reverse=True)
        return ranked[:count]

    def to_dict(self, top: int = 3) -> dict[str, Any]:
        """JSON-ready form; the embedding is left out, it belongs in a ``.npy``."""
        return {
            "emotion": self.emotion,
            "confidence": self.confidence,
            "calibrated": self.calibrated,
            "scores": dict(self.scores),
            "top": [{"emotion": label, "confidence": score} for label, score in self.top(top)],
            "seconds": self.seconds,
            "warnings": [{"code": w.code, "message": w.message} for w in self.warnings],
            "normalization": self.normalization,
            "model": self.model,
            "provider": self.provider,
            "timings": {"decode": self.timings.decode, "encode": self.timings.encode},
        }


@dataclass(frozen=True)
class Window:
    """The emotion of one stretch of a clip."""

    start: float
    end: float
    emotion: str
    confidence: float
    scores: Mapping[str, float]

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
    end: float
    emotion: str
    confidence: float
    """Mean score of the emotion over the run's windows."""


@dataclass(frozen=True, eq=False)
class Timeline(Sequence[Window]):
    """Emotions along a clip: a sequence of :class:`Window`, kept as arrays."""

    labels: tuple[str, ...]
    starts: NDArray[np.float64]
    """float64 [windows], seconds."""
    ends: NDArray[np.float64]
    """float64 [windows], seconds."""
    scores: NDArray[np.float32] = field(repr=False)
    """float32 [windows, labels]."""
    reject_below: float = 0.0
    """Confidence under which the emotion of a window is ``unknown``."""

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, index: int) -> Window: ...
    @overload
    def __getitem__(self, index: slice) -> list[Window]: ...
    def __getitem__(self, index: int | slice) -> Window | list[Window]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        scores = self.scores[index]
        emotion, confidence = answer(self.labels, scores, self.reject_below)
        return Window(
            start=round(float(self.starts[index]), 6),
            end=round(float(self.ends[index]), 6),
            emotion=emotion,
            confidence=confidence,
            scores=dict(zip(self.labels, scores.tolist(), strict=True)),
        )

    def __iter__(self) -> Iterator[Window]:
        return (self[i] for i in range(len(self)))

    def segments(self, min_seconds: float = 0.0) -> list[Segment]:
        """Merge neighbouring windows of one emotion.

        A border between two emotions lies midway between the centres of the windows on its sides.
        Runs shorter than ``min_seconds`` go to the longer of their neighbours, shortest first.
        """
        if not min_seconds >= 0:
            raise OptionError(f"min_seconds is {min_seconds!r}; give 0 or more")
        if not len(self):
            return []
        names, scores, best = self.labels, self.scores, self.scores.argmax(axis=1)
        if self.reject_below > 0:
            if REJECTED not in names:
                names = (*names, REJECTED)
                scores = np.column_stack([scores, np.zeros(len(scores), np.float32)])
            highest = self.scores.max(axis=1)
            unsure, rejected = highest < self.reject_below, names.index(REJECTED)
            best = np.where(unsure, rejected, best)
            scores = np.where(
                unsure[:, None] & (np.arange(len(names)) == rejected), highest[:, None], scores
            )
        cuts = np.flatnonzero(np.diff(best)) + 1
        runs = [
            _Run(int(first), int(last), int(best[first]))
            for first, last in zip([0, *cuts], [*cuts, len(best)], strict=True)
        ]
        centres = (self.starts + self.ends) / 2
        borders = np.concatenate(
            [self.starts[:1], (centres[1:] + centres[:-1]) / 2, self.ends[-1:]]
        )
        runs = _merged(runs, borders, min_seconds)
        return [
            Segment(
                start=round(float(borders[run.first]), 6),
                end=round(float(borders[run.last]), 6),
                emotion=names[run.label],
                confidence=float(scores[run.first : run.last, run.label].mean()),
            )
            for run in runs
        ]


@dataclass(eq=False)
class _Run:
    """Windows ``first`` to ``last`` (exclusive) under one label, between its neighbours."""

    first: int
    last: int
    label: int
    before: _Run | None = None
    after: _Run | None = None
    gone: bool = False


def _merged(runs: list[_Run], borders: NDArray[np.float64], min_seconds: float) -> list[_Run]:
    """Give the shortest run to the longer of its neighbours until none is too short."""
    for left, right in itertools.pairwise(runs):
        left.after, right.before = right, left

    def seconds(run: _Run) -> float:
        return round(float(borders[run.last] - borders[run.first]), 6)  # ties go to the first

    # Entries of runs that have grown or gone since stay in the heap and are passed over.
    heap = [(seconds(run), run.first, run.last, run) for run in runs]
    heapq.heapify(heap)
    while heap and heap[0][0] < min_seconds:
        _, first, last, run = heapq.heappop(heap)
        sides = [side for side in (run.before, run.after) if side is not None]
        if run.gone or (run.first, run.last) != (first, last) or not sides:
            continue
        run.label = max(sides, key=seconds).label
        for side in sides:
            if side.label == run.label:
                _absorb(run, side)
        heapq.heappush(heap, (seconds(run), run.first, run.last, run))
    return [run for run in runs if not run.gone]


def _absorb(run: _Run, side: _Run) -> None:
    side.gone = True
    if side is run.before:
        run.first, run.before = side.first, side.before
        if run.before is not None:
            run.before.after = run
    else:
        run.last, run.after = side.last, side.after
        if run.after is not None:
            run.after.before = run
