"""A new head on frozen embeddings: minutes on a CPU, any label set, no torch.

Multinomial logistic regression (scikit-learn) on the clips' mean frames. How strongly to regularize
is decided by cross-validation in which no speaker is on both sides; the same held-out answers give
the accuracy to expect and the temperature.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion2vec_edge.engine.bundle.manifest import Calibration
from emotion2vec_edge.engine.errors import MissingExtraError, OptionError
from emotion2vec_edge.engine.metrics import (
    calibrate,
    recalls,
    unweighted_accuracy,
    weighted_accuracy,
)
from emotion2vec_edge.engine.progress import Progress, no_progress

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""scikit-learn's C, tried from strong to weak regularization."""
FOLDS = 5
NEVER = -30.0
"""Below the best logit: of a label that a fold had no clip of."""


@dataclass(frozen=True)
class FittedHead:
    """A head, and what was measured of it on speakers it was not fitted on."""

    labels: tuple[str, ...]
    weight: NDArray[np.float32]
    """float32 [labels, dim]."""
    bias: NDArray[np.float32]
    """float32 [labels]."""
    temperature: float
    evidence: dict[str, Any]
    """For cards and for people."""

    @property
    def calibration(self) -> Calibration:
        """Calibration for ``bundle.json`` or ``calibration.json``."""
        return Calibration(
            temperature=round(self.temperature, 4),
            fitted_on="cross-validated answers to the same speech",
            ece_before=self.evidence["ece_before"],
            ece=self.evidence["ece"],
        )


def fit_head(
    embeddings: NDArray[np.float32],
    truth: NDArray[np.int64],
    labels: Sequence[str],
    speakers: Sequence[str | None],
    before: NDArray[np.int64] | None = None,
    progress: Progress = no_progress,
) -> FittedHead:
    """Fit a head.

    Args:
        embeddings: float32 [clips, dim].
        truth: index of each clip's label, [clips].
        labels: the labels.
        speakers: who speaks in each clip; None for a clip that stands for itself.
        before: what the model answered so far, as indices like ``truth``'s, −1 for other labels.
        progress: receives the number of fits that are done.

    Raises:
        OptionError: a label is spoken by a single speaker, so it cannot be held out and learned.
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.model_selection import StratifiedGroupKFold
    except ImportError as error:
        raise MissingExtraError(
            f"fitting a head needs scikit-learn ({error}): pip install 'emotion2vec-edge[finetune]'"
        ) from None

    groups = np.array([name or f"\0{i}" for i, name in enumerate(speakers)])
    _check_speakers(truth, labels, groups)
    counts = Counter(truth.tolist())
    folds = min(FOLDS, len(set(groups.tolist())), *counts.values())
    with warnings.catch_warnings():
        # Few clips of a label, or a speaker with most of them: the folds are as good as can be.
        warnings.simplefilter("ignore", UserWarning)
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
        splits = list(splitter.split(embeddings, truth, groups))
    held_out = {}
    for number, strength in enumerate(STRENGTHS):
        logits = np.zeros((len(truth), len(labels)))
        for fold, (train, test) in enumerate(splits):
            weight, bias = _fit(embeddings[train], truth[train], len(labels), strength)
            logits[test] = embeddings[test] @ weight.T + bias
            progress("cross-validation", number * folds + fold + 1, len(STRENGTHS) * folds)
        held_out[strength] = logits
    strength = max(
        STRENGTHS, key=lambda c: (unweighted_accuracy(truth, held_out[c].argmax(axis=1)), -c)
    )
    logits = held_out[strength]
    found = logits.argmax(axis=1)
    fit = calibrate(logits, truth)
    weight, bias = _fit(embeddings, truth, len(labels), strength)
    evidence = {
        "clips": len(truth),
        "speakers": len(set(groups.tolist())) if any(speakers) else None,
        "folds": folds,
        "regularization_c": strength,
        "ua_before": None if before is None else round(unweighted_accuracy(truth, before), 4),
        "ua": round(unweighted_accuracy(truth, found), 4),
        "wa": round(weighted_accuracy(truth, found), 4),
        "recalls": {labels[k]: round(recall, 4) for k, recall in recalls(truth, found).items()},
        "ece_before": round(fit.ece_before, 4),
        "ece": round(fit.ece, 4),
    }
    return FittedHead(
        tuple(labels), weight.astype(np.float32), bias.astype(np.float32), fit.temperature, evidence
    )


def _check_speakers(
    truth: NDArray[np.int64], labels: Sequence[str], groups: NDArray[np.str_]
) -> None:
    alone = {
        labels[label]: who
        for label in np.unique(truth)
        if len(who := np.unique(groups[truth == label])) == 1
    }
    if alone:
        what = ", ".join(f"{label} (only {who[0]})" for label, who in alone.items())
        raise OptionError(
            f"labels of a single speaker: {what}. That voice would be learned for the emotion; add "
            "clips of at least one more speaker for each, or leave the column speaker out, and "
            "recordings are held out instead of speakers"
        )


def _fit(
    embeddings: NDArray[np.float32], truth: NDArray[np.int64], labels: int, strength: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weight [labels, dim] and bias [labels] for embeddings as they are."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    mean = embeddings.mean(axis=0, dtype=np.float64)
    scale = 1 / np.maximum(embeddings.std(axis=0, dtype=np.float64), 1e-6)
    model = LogisticRegression(C=strength, class_weight="balanced", max_iter=500)
    with warnings.catch_warnings():
        # With weak regularization it stops before the last digit, which no answer hangs on.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit((embeddings - mean) * scale, truth)
    coefficients, intercept = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # one row says both
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercept = np.concatenate([-intercept, intercept]) / 2
    weight = np.zeros((labels, embeddings.shape[1]))
    bias = np.full(labels, NEVER)
    weight[model.classes_] = coefficients * scale
    bias[model.classes_] = intercept - weight[model.classes_] @ mean
    return weight, bias
