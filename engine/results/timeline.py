"""Emotions along a clip, as a sequence of windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import overload

import numpy as np
from numpy.typing import NDArray

from ..settings import check_seconds
from .decision import REJECTED, decide
from .segments import Run, merge_short
from .types import Segment, Window


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
    """Confidence below which the emotion of a window is ``unknown``."""
    voiced: NDArray[np.bool_] | None = field(default=None, repr=False)
    """True for windows with speech, bool [windows]; others are ``unknown``. None if all count."""

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
        emotion, confidence = decide(self.labels, scores, self.reject_below)
        if self.voiced is not None and not self.voiced[index]:
            emotion = REJECTED
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

        The border between two emotions lies midway between the centres of the windows beside it.
        Runs shorter than ``min_seconds`` go to the longer of their neighbours, shortest first.

        Raises:
            OptionError: ``min_seconds`` is out of range.
        """
        check_seconds("min_seconds", min_seconds, 0)
        if not len(self):
            return []
        labels, scores, best = self._answers()
        cuts = np.flatnonzero(np.diff(best)) + 1
        runs = [
            Run(int(first), int(last), int(best[first]))
            for first, last in zip([0, *cuts], [*cuts, len(best)], strict=True)
        ]
        centres = (self.starts + self.ends) / 2
        borders = np.concatenate(
            [self.starts[:1], (centres[1:] + centres[:-1]) / 2, self.ends[-1:]]
        )
        return [
            Segment(
                start=round(float(borders[run.first]), 6),
                end=round(float(borders[run.last]), 6),
                emotion=labels[run.label],
                confidence=float(scores[run.first : run.last, run.label].mean()),
            )
            for run in merge_short(runs, borders, min_seconds)
        ]

    def _answers(self) -> tuple[tuple[str, ...], NDArray[np.float32], NDArray[np.intp]]:
        """Labels, scores [windows, labels] and index of the answer of each window.

        A window below the limit or without speech counts its best score for ``unknown`` as well.
        """
        labels, scores, best = self.labels, self.scores, self.scores.argmax(axis=1)
        if self.reject_below == 0 and self.voiced is None:
            return labels, scores, best
        if REJECTED not in labels:
            labels = (*labels, REJECTED)
            scores = np.column_stack([scores, np.zeros(len(scores), np.float32)])
        rejected, highest = labels.index(REJECTED), self.scores.max(axis=1)
        unsure = highest.astype(np.float64) < self.reject_below  # as decide() compares
        if self.voiced is not None:
            unsure |= ~self.voiced
        scores = scores.copy()
        scores[unsure, rejected] = highest[unsure]
        return labels, scores, np.where(unsure, rejected, best)
