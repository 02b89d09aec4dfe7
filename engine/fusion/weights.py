"""Weights and temperature fitted on labelled stretches, with no speaker on both sides."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import ModalityError
from ..fields import read_json
from ..files import write_file
from ..metrics import calibration_error, fit_temperature, softmax, unweighted_accuracy
from .alignment import AlignedScores
from .pooling import MOST_WEIGHT, FusionWeights, fused_logits

FOLDS = 5
LEAST_SPANS = 20


@dataclass(frozen=True)
class FusionFit:
    """Fitted weights, and how good such weights are on speakers that they were not fitted on."""

    weights: FusionWeights
    ua: float
    """Unweighted accuracy on held-out speakers."""
    ece: float
    """Expected calibration error on held-out speakers."""
    scores: NDArray[np.float32]
    """Scores of each span from weights of the other speakers: float32 [spans, labels]."""


def fit_weights(
    aligned: AlignedScores, truth: NDArray[np.int64], speakers: Sequence[str]
) -> FusionFit:
    """Fit the weight of each modality, and the temperature, by the likelihood of the true labels.

    Args:
        aligned: the modalities.
        truth: label index of each span, int64 [spans].
        speakers: speaker of each span.

    Raises:
        ModalityError: too few spans or speakers.
    """
    if len(truth) < LEAST_SPANS or len(set(speakers)) < 2:
        raise ModalityError(
            f"{len(truth)} labelled spans of {len(set(speakers))} speakers; weights are fitted on "
            f"at least {LEAST_SPANS} of at least 2, so that no speaker is on both sides"
        )
    names, group = np.unique(np.array(speakers), return_inverse=True)
    fold = np.random.default_rng(0).permutation(len(names))[group] % min(FOLDS, len(names))
    logits = np.zeros((len(truth), len(aligned.labels)))
    temperature = np.ones(len(truth))
    for number in range(int(fold.max()) + 1):
        held = fold == number
        own = _likeliest(aligned, truth, ~held)
        logits[held] = fused_logits(aligned.some(np.flatnonzero(held)), own)
        learned = fused_logits(aligned.some(np.flatnonzero(~held)), own)
        temperature[held] = fit_temperature(learned, truth[~held])
    scores = softmax(logits / temperature[:, None])
    found = scores.argmax(axis=1)
    weights = _likeliest(aligned, truth, np.ones(len(truth), bool))
    fitted = FusionWeights(
        dict(zip(aligned.modalities, weights.round(4).tolist(), strict=True)),
        round(fit_temperature(logits, truth), 4),
        calibrated=True,
    )
    error = calibration_error(found == truth, scores.max(axis=1))
    return FusionFit(fitted, unweighted_accuracy(truth, found), error, scores)


def _likeliest(
    aligned: AlignedScores, truth: NDArray[np.int64], chosen: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Weights of 0 or more under which the true labels are likeliest: [modalities].

    The loss is convex, so Newton's steps, halved where they overshoot, find its least value.
    """
    part = (aligned.evidence * aligned.coverage[..., None])[chosen]
    labels = truth[chosen]
    rows = np.arange(len(labels))

    def state(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = np.einsum("smk,m->sk", part, weights)
        top = logits.max(axis=1, keepdims=True)
        norm = top[:, 0] + np.log(np.exp(logits - top).sum(axis=1))
        loss = float((norm - logits[rows, labels]).mean()) + 1e-6 * float(weights @ weights)
        return loss, np.exp(logits - norm[:, None])

    weights = np.ones(part.shape[1])
    loss, likely = state(weights)
    for _ in range(100):
        mean = np.einsum("smk,sk->sm", part, likely)
        gradient = (mean - part[rows, :, labels]).mean(axis=0) + 2e-6 * weights
        spread = np.einsum("smk,snk,sk->mn", part, part, likely) / len(labels)
        curvature = spread - mean.T @ mean / len(labels) + 1e-6 * np.eye(len(weights))
        free = (weights > 0) | (gradient < 0)
        step = np.zeros(len(weights))
        step[free] = np.linalg.solve(curvature[np.ix_(free, free)], gradient[free])
        size = 1.0
        while size > 1e-6:
            tried = np.clip(weights - size * step, 0.0, MOST_WEIGHT)
            new_loss, new_likely = state(tried)
            if new_loss < loss:
                break
            size /= 2
        else:
            break
        done = loss - new_loss < 1e-12
        weights, loss, likely = tried, new_loss, new_likely
        if done:
            break
    return weights


def write_weights(fit: FusionFit, path: Path) -> None:
    """Write weights as JSON.

    Raises:
        OutputError: the file cannot be written.
    """
    document = {**asdict(fit.weights), "held_out": {"ua": fit.ua, "ece": fit.ece}}
    write_file(path, json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n")


def read_weights(path: Path) -> FusionWeights:
    """Weights that :func:`write_weights` wrote.

    Raises:
        ModalityError: the file cannot be used.
    """
    fields = read_json(path, ModalityError)
    own = fields.mapping("weights")
    return FusionWeights(
        {name: own.number(name, least=0, most=MOST_WEIGHT) for name in own.names(1, 100)},
        fields.number("temperature", least=0.01, most=100),
        fields.boolean("calibrated", default=False),
    )
