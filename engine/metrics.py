"""Metrics of classifiers: accuracy, calibration and their uncertainty. Needs numpy alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def fit_temperature(logits: NDArray[np.floating], truth: NDArray[np.int64]) -> float:
    """The temperature under which held-out answers are likeliest.

    Args:
        logits: [clips, labels].
        truth: index of the true label, [clips].

    Returns:
        between 0.05 and 20; the likelihood has one maximum over it.
    """
    values = logits.astype(np.float64)
    low, high = np.log(0.05), np.log(20.0)

    def loss(log_temperature: float) -> float:
        scaled = values / np.exp(log_temperature)
        top = scaled.max(axis=1, keepdims=True)
        norm = top[:, 0] + np.log(np.exp(scaled - top).sum(axis=1))
        return float((norm - scaled[np.arange(len(truth)), truth]).mean())

    ratio = (np.sqrt(5) - 1) / 2  # golden section
    for _ in range(60):
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        if loss(a) < loss(b):
            high = b
        else:
            low = a
    return float(np.exp((low + high) / 2))


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    """Probabilities over the last axis: [..., labels]."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True), dtype=np.float64)
    scores: NDArray[np.float32] = (shifted / shifted.sum(axis=-1, keepdims=True)).astype(np.float32)
    return scores


BOOTSTRAPS = 1_000
BINS = 15


@dataclass(frozen=True)
class Scores:
    """Measures of one model on one corpus."""

    clips: int
    wa: float
    """Weighted accuracy: the share of clips that are right."""
    ua: float
    """Unweighted accuracy: mean recall over the labels that the corpus has."""
    ua_low: float
    ua_high: float
    """95 % bootstrap interval of the UA, over clips."""
    f1: float
    """Macro-F1 over the labels that the corpus has."""
    ece: float
    """Expected calibration error."""


def score(
    truth: NDArray[np.int64], found: NDArray[np.int64], confidence: NDArray[np.float64]
) -> Scores:
    """All measures: ``truth``, ``found``: label indices [clips]; ``confidence`` [clips]."""
    low, high = bootstrap_interval(truth, found)
    right = truth == found
    return Scores(
        len(truth),
        float(right.mean()),
        unweighted_accuracy(truth, found),
        low,
        high,
        macro_f1(truth, found),
        calibration_error(right, confidence),
    )


def bootstrap_interval(truth: NDArray[np.int64], found: NDArray[np.int64]) -> tuple[float, float]:
    """95 % interval of the UA under resampling of the clips."""
    rng = np.random.default_rng(0)
    values = []
    for _ in range(BOOTSTRAPS):
        pick = rng.integers(len(truth), size=len(truth))
        values.append(unweighted_accuracy(truth[pick], found[pick]))
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def recalls(truth: NDArray[np.int64], found: NDArray[np.int64]) -> dict[int, float]:
    """Recall of each label that occurs in ``truth``."""
    return {int(k): float((found[truth == k] == k).mean()) for k in np.unique(truth)}


def macro_f1(truth: NDArray[np.int64], found: NDArray[np.int64]) -> float:
    """Mean F1 over the labels that occur in ``truth``."""
    values = []
    for label in np.unique(truth):
        hits = int(((truth == label) & (found == label)).sum())
        values.append(2 * hits / int((truth == label).sum() + (found == label).sum()))
    return float(np.mean(values))


def confusion(truth: NDArray[np.int64], found: NDArray[np.int64], labels: int) -> NDArray[np.int64]:
    """How many clips of each label (row) got each label (column): int64 [labels, labels]."""
    matrix = np.zeros((labels, labels), np.int64)
    np.add.at(matrix, (truth, found), 1)
    return matrix


def calibration_error(right: NDArray[np.bool_], confidence: NDArray[np.float64]) -> float:
    """Expected calibration error over 15 bins of equal width: both [clips]."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    error = 0.0
    for index in np.unique(bins):
        inside = bins == index
        error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return float(error)


def mcnemar(right_a: NDArray[np.bool_], right_b: NDArray[np.bool_]) -> float:
    """Exact two-sided p-value of McNemar's test: are a and b right equally often?

    Only clips count on which one of them is right and the other is not; if the two are equal, each
    of those is the toss of a coin.
    """
    only_a = int((right_a & ~right_b).sum())
    only_b = int((right_b & ~right_a).sum())
    count, least = only_a + only_b, min(only_a, only_b)
    tail: float = sum(math.comb(count, k) for k in range(least + 1)) / 2**count
    return min(1.0, 2 * tail)


def unweighted_accuracy(truth: NDArray[np.int64], found: NDArray[np.int64]) -> float:
    """Mean recall over the labels that occur in ``truth``: both int64 [clips]."""
    right = truth == found
    return float(np.mean([right[truth == label].mean() for label in np.unique(truth)]))


def expected_calibration_error(logits: NDArray[np.floating], truth: NDArray[np.int64]) -> float:
    """How far confidence lies from accuracy: logits [clips, labels], truth [clips]."""
    scores = softmax(logits)
    return calibration_error(scores.argmax(axis=1) == truth, scores.max(axis=1).astype(np.float64))
