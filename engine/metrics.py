"""Measures of classifiers, and the calibration of their confidence; numpy alone.

``truth`` and ``found`` are label indices, int64 [clips]; ``logits`` are [clips, labels].
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 15
"""Bins of equal width for the calibration error, as in Guo et al. 2017."""
BOOTSTRAPS = 1_000
"""Resamplings behind a bootstrap interval."""
TEMPERATURES = (0.05, 20.0)
"""Lowest and highest temperature that is fitted."""


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    """Probabilities over the last axis: [..., labels]."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True), dtype=np.float64)
    scores: NDArray[np.float32] = (shifted / shifted.sum(axis=-1, keepdims=True)).astype(np.float32)
    return scores


# Accuracy.


def weighted_accuracy(truth: NDArray[np.int64], found: NDArray[np.int64]) -> float:
    """Share of clips that are right (WA)."""
    return float((truth == found).mean())


def unweighted_accuracy(truth: NDArray[np.int64], found: NDArray[np.int64]) -> float:
    """Mean recall over the labels that occur in ``truth`` (UA, also UAR)."""
    return float(np.mean(list(recalls(truth, found).values())))


def recalls(truth: NDArray[np.int64], found: NDArray[np.int64]) -> dict[int, float]:
    """Recall of each label that occurs in ``truth``, by index in rising order."""
    return {int(k): float((found[truth == k] == k).mean()) for k in np.unique(truth)}


def macro_f1(truth: NDArray[np.int64], found: NDArray[np.int64]) -> float:
    """Mean F1 over the labels that occur in ``truth``."""
    values = []
    for label in np.unique(truth):
        hits = int(((truth == label) & (found == label)).sum())
        values.append(2 * hits / int((truth == label).sum() + (found == label).sum()))
    return float(np.mean(values))


def confusion(truth: NDArray[np.int64], found: NDArray[np.int64], labels: int) -> NDArray[np.int64]:
    """Clips of each true label (row) by their answer (column): int64 [labels, labels]."""
    matrix = np.zeros((labels, labels), np.int64)
    np.add.at(matrix, (truth, found), 1)
    return matrix


def bootstrap_interval(truth: NDArray[np.int64], found: NDArray[np.int64]) -> tuple[float, float]:
    """95 % interval of the UA under resampling of the clips."""
    rng = np.random.default_rng(0)
    values = []
    for _ in range(BOOTSTRAPS):
        pick = rng.integers(len(truth), size=len(truth))
        values.append(unweighted_accuracy(truth[pick], found[pick]))
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def mcnemar(right_a: NDArray[np.bool_], right_b: NDArray[np.bool_]) -> float:
    """Exact two-sided p-value of McNemar's test: are a and b right equally often?

    Only clips count on which exactly one of them is right; if the two are equal, each of those is
    the toss of a coin. Both arguments: bool [clips].
    """
    only_a = int((right_a & ~right_b).sum())
    only_b = int((right_b & ~right_a).sum())
    count, least = only_a + only_b, min(only_a, only_b)
    tail: float = sum(math.comb(count, k) for k in range(least + 1)) / 2**count
    return min(1.0, 2 * tail)


@dataclass(frozen=True)
class Scores:
    """Measures of one model on one corpus."""

    clips: int
    wa: float
    """Weighted accuracy."""
    ua: float
    """Unweighted accuracy."""
    ua_low: float
    ua_high: float
    """95 % bootstrap interval of the UA, over clips."""
    f1: float
    """Macro-F1 over the labels that the corpus has."""
    ece: float
    """Expected calibration error."""


def score(
    truth: NDArray[np.int64], found: NDArray[np.int64], confidence: NDArray[np.floating]
) -> Scores:
    """All measures of one model; ``confidence``: probability of each answer, [clips]."""
    low, high = bootstrap_interval(truth, found)
    return Scores(
        len(truth),
        weighted_accuracy(truth, found),
        unweighted_accuracy(truth, found),
        low,
        high,
        macro_f1(truth, found),
        calibration_error(truth == found, confidence),
    )


# Confidence.


def calibration_error(right: NDArray[np.bool_], confidence: NDArray[np.floating]) -> float:
    """Expected calibration error (ECE): mean distance of confidence from accuracy, over the bins.

    Args:
        right: bool [clips].
        confidence: probability of each answer, [clips].
    """
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    error = 0.0
    for index in np.unique(bins):
        inside = bins == index
        error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return float(error)


@dataclass(frozen=True)
class TemperatureFit:
    """A temperature that was fitted on held-out clips, and its effect on them."""

    temperature: float
    ece_before: float
    """Expected calibration error without the temperature."""
    ece: float
    """Expected calibration error of logits that are divided by it."""


def calibrate(logits: NDArray[np.floating], truth: NDArray[np.int64]) -> TemperatureFit:
    """Fit a temperature on held-out clips (Guo et al. 2017); no answer changes by it."""
    temperature = fit_temperature(logits, truth)
    before, after = (
        calibration_error(scores.argmax(axis=1) == truth, scores.max(axis=1).astype(np.float64))
        for scores in (softmax(logits), softmax(logits / temperature))
    )
    return TemperatureFit(temperature, before, after)


def fit_temperature(logits: NDArray[np.floating], truth: NDArray[np.int64]) -> float:
    """The temperature under which the true labels are likeliest, within :data:`TEMPERATURES`."""
    values = logits.astype(np.float64)
    low, high = np.log(TEMPERATURES)

    def loss(log_temperature: float) -> float:
        scaled = values / np.exp(log_temperature)
        top = scaled.max(axis=1, keepdims=True)
        norm = top[:, 0] + np.log(np.exp(scaled - top).sum(axis=1))
        return float((norm - scaled[np.arange(len(truth)), truth]).mean())

    ratio = (np.sqrt(5) - 1) / 2  # golden section: the likelihood has one maximum
    for _ in range(60):
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        if loss(a) < loss(b):
            high = b
        else:
            low = a
    return float(np.exp((low + high) / 2))
