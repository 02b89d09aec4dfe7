"""Modalities brought to one time: to the turns or windows of the first of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import ModalityError
from .labels import LabelMap, mapped
from .modality import ScoredSpan

LEAST_SCORE = 1e-4
"""Probability that stands for a smaller one: no model is so sure that others cannot object."""


@dataclass(frozen=True, eq=False)
class AlignedScores:
    """Scores of several modalities over the same stretches of time."""

    labels: tuple[str, ...]
    modalities: tuple[str, ...]
    evidence: NDArray[np.float64]
    """[spans, modalities, labels]: logarithm of the scores, less its mean over the labels that the
    modality can give; 0 for the others, for or against which it says nothing."""
    coverage: NDArray[np.float64]
    """[spans, modalities]: share of the span that the modality has scores for, 0 to 1."""
    spans: tuple[ScoredSpan, ...]
    """The stretches of time, with the first modality's own scores."""

    def some(self, rows: NDArray[np.int64]) -> AlignedScores:
        """The scores of these spans alone."""
        return replace(
            self,
            evidence=self.evidence[rows],
            coverage=self.coverage[rows],
            spans=tuple(self.spans[row] for row in rows.tolist()),
        )


def align(
    modalities: Mapping[str, Sequence[ScoredSpan]],
    maps: Mapping[str, LabelMap] | None = None,
    labels: Sequence[str] | None = None,
) -> AlignedScores:
    """Bring modalities to the spans of the first.

    The scores of another modality in a span are their mean, weighted by the seconds in it.

    Args:
        modalities: scores by modality; the first gives the spans.
        maps: label map of each modality that needs one.
        labels: label ids that are fused; None takes those of the first modality.

    Raises:
        ModalityError: labels that do not map; a map for a modality that is not there; recordings
            of which the first modality has none.
    """
    maps = maps or {}
    if unknown := sorted(maps.keys() - modalities.keys()):
        raise ModalityError(f"no scores of {unknown[0]!r}; there are {', '.join(modalities)}")
    names = tuple(modalities)
    first = modalities[names[0]]
    own_map = maps.get(names[0])
    labels = tuple(labels or dict.fromkeys(
        own_map.labels.get(label.strip().lower(), label) if own_map else label
        for label in first[0].scores
    ))  # fmt: skip
    shape = (len(first), len(names))
    evidence, coverage = np.zeros((*shape, len(labels))), np.zeros(shape)
    for number, name in enumerate(names):
        files = _by_file(modalities[name], labels, maps.get(name))
        strange = sorted(files.keys() - {span.file for span in first})
        if strange:
            raise ModalityError(
                f"{name} has scores of {strange[0]!r:.100}, which {names[0]} has none of; give "
                "rows of the same recordings"
            )
        for row, span in enumerate(first):
            if span.file in files:
                scores, given, coverage[row, number] = files[span.file].within(span)
                if coverage[row, number]:
                    logs = np.log(np.maximum(scores, LEAST_SCORE))
                    evidence[row, number, given] = logs[given] - logs[given].mean()
    return AlignedScores(labels, names, evidence, coverage, tuple(first))


@dataclass(frozen=True, eq=False)
class _Track:
    """The scores of one modality for one recording, in order of their start."""

    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    scores: NDArray[np.float64]
    """[spans, labels]: 0 for labels that the modality cannot give."""
    given: NDArray[np.bool_]
    """True for each label that the modality can give: [labels]."""
    longest: float
    """Seconds of the longest span."""

    def within(self, span: ScoredSpan) -> tuple[NDArray[np.float64], NDArray[np.bool_], float]:
        """Mean scores in a span, the labels that they are of, and the share that is covered."""
        low = np.searchsorted(self.starts, span.start - self.longest)
        high = np.searchsorted(self.starts, span.end)
        starts = np.maximum(self.starts[low:high], span.start)
        ends = np.minimum(self.ends[low:high], span.end)
        seconds = np.maximum(ends - starts, 0.0)
        if not seconds.any():
            return np.zeros(len(self.given)), self.given, 0.0
        covered = min(1.0, _union(starts[seconds > 0], ends[seconds > 0]) / (span.end - span.start))
        return seconds @ self.scores[low:high] / seconds.sum(), self.given, covered


def _union(starts: NDArray[np.float64], ends: NDArray[np.float64]) -> float:
    """Seconds that spans in order of their start cover together."""
    latest = np.maximum.accumulate(ends)
    begin = np.maximum(starts[1:], latest[:-1])
    return float(ends[0] - starts[0] + np.maximum(ends[1:] - begin, 0.0).sum())


def _by_file(
    spans: Sequence[ScoredSpan], labels: Sequence[str], own: LabelMap | None
) -> dict[str, _Track]:
    groups: dict[str, list[ScoredSpan]] = {}
    for span in spans:
        groups.setdefault(span.file, []).append(span)
    tracks = {}
    index = {label: number for number, label in enumerate(labels)}
    for file, group in groups.items():
        scores, given = np.zeros((len(group), len(labels))), np.zeros(len(labels), bool)
        for row, span in enumerate(group):
            for label, score in mapped(span.scores, labels, own, span.place).items():
                scores[row, index[label]] = score
                given[index[label]] = True
        starts = np.array([span.start for span in group])
        ends = np.array([span.end for span in group])
        tracks[file] = _Track(starts, ends, scores, given, float((ends - starts).max()))
    return tracks
