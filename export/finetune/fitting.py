"""A new head on frozen embeddings: minutes on a CPU, any label set, no torch.

Multinomial logistic regression (scikit-learn) on the clips' mean frames. Cross-validation, in which
no speaker is on both sides, chooses the regularization; the same held-out answers give the accuracy
to expect and the temperature.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

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
from emotion2vec_edge.engine.settings import LEAST_CALIBRATION_CLIPS

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""scikit-learn's C, tried from strong to weak regularization."""
FOLDS = 5
"""Most folds of the cross-validation."""
NEVER = -30.0
"""Logit of a label that a fold has no clip of, far below the others."""

Fold: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Indices of the clips to fit on and of those to test on."""


@dataclass(frozen=True)
class HeadEvidence:
    """Measurements of a head on speakers that it was not fitted on."""

    clips: int
    speakers: int | None
    """None if the speakers are not known: each recording was held out as if it were one."""
    folds: int
    regularization_c: float
    """scikit-learn's C, chosen by cross-validation."""
    ua_before: float | None
    """UA of the model's former head; None if it has other labels."""
    ua: float
    wa: float
    recalls: Mapping[str, float]
    """Label → recall."""
    ece_before: float
    """Expected calibration error without the temperature."""
    ece: float

    def to_dict(self) -> dict[str, Any]:
        """The evidence as it is stored in ``bundle.json``."""
        return asdict(self)


@dataclass(frozen=True)
class FittedHead:
    """A head, and its measurements."""

    labels: tuple[str, ...]
    weight: NDArray[np.float32]
    """float32 [labels, dim]."""
    bias: NDArray[np.float32]
    """float32 [labels]."""
    temperature: float
    evidence: HeadEvidence

    @property
    def calibration(self) -> Calibration | None:
        """Calibration for ``bundle.json`` or ``calibration.json``; None of too few clips."""
        if self.evidence.clips < LEAST_CALIBRATION_CLIPS:
            return None
        return Calibration(
            temperature=round(self.temperature, 4),
            fitted_on=f"cross-validated answers to the same {self.evidence.clips} clips",
            ece_before=self.evidence.ece_before,
            ece=self.evidence.ece,
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
        speakers: name of each clip's speaker; None for a clip that counts as a speaker of its own.
        before: answers of the model's former head, as indices like ``truth``'s; −1 stands for
            other labels.
        progress: receives the number of fits that are done.

    Raises:
        OptionError: all clips of a label are of one speaker, who cannot be both held out and
            learned.
        MissingExtraError: scikit-learn is not installed.
    """
    groups = np.array([name or f"\0{i}" for i, name in enumerate(speakers)])
    _check_speakers(truth, labels, groups)
    splits = _speaker_folds(embeddings, truth, groups)
    strength, logits = _best_strength(embeddings, truth, len(labels), splits, progress)
    fit = calibrate(logits, truth)
    weight, bias = _fit(embeddings, truth, len(labels), strength)
    found = logits.argmax(axis=1)
    evidence = HeadEvidence(
        clips=len(truth),
        speakers=len(set(groups.tolist())) if any(speakers) else None,
        folds=len(splits),
        regularization_c=strength,
        ua_before=None if before is None else round(unweighted_accuracy(truth, before), 4),
        ua=round(unweighted_accuracy(truth, found), 4),
        wa=round(weighted_accuracy(truth, found), 4),
        recalls={labels[k]: round(recall, 4) for k, recall in recalls(truth, found).items()},
        ece_before=round(fit.ece_before, 4),
        ece=round(fit.ece, 4),
    )
    return FittedHead(
        tuple(labels), weight.astype(np.float32), bias.astype(np.float32), fit.temperature, evidence
    )


def _check_speakers(
    truth: NDArray[np.int64], labels: Sequence[str], groups: NDArray[np.str_]
) -> None:
    only_speaker = {
        labels[label]: speakers[0]
        for label in np.unique(truth)
        if len(speakers := np.unique(groups[truth == label])) == 1
    }
    if only_speaker:
        listed = ", ".join(f"{label} (only {name})" for label, name in only_speaker.items())
        raise OptionError(
            f"labels of a single speaker: {listed}. The model would learn that voice instead of "
            "the emotion; add clips of at least one more speaker for each, or leave the column "
            "speaker out, and recordings are held out instead of speakers"
        )


def _speaker_folds(
    embeddings: NDArray[np.float32], truth: NDArray[np.int64], groups: NDArray[np.str_]
) -> list[Fold]:
    """Train and test indices of each fold of the cross-validation; no speaker is in both."""
    try:
        from sklearn.model_selection import StratifiedGroupKFold
    except ImportError as error:
        raise MissingExtraError(
            f"fitting a head needs scikit-learn ({error}): pip install 'emotion2vec-edge[finetune]'"
        ) from None
    folds = min(FOLDS, len(set(groups.tolist())), *Counter(truth.tolist()).values())
    with warnings.catch_warnings():
        # About few clips of a label, or a speaker with most of them: no better folds exist.
        warnings.simplefilter("ignore", UserWarning)
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
        return list(splitter.split(embeddings, truth, groups))


def _best_strength(
    embeddings: NDArray[np.float32],
    truth: NDArray[np.int64],
    labels: int,
    splits: Sequence[Fold],
    progress: Progress,
) -> tuple[float, NDArray[np.float64]]:
    """The regularization with the best held-out UA, and its held-out logits [clips, labels]."""
    held_out: dict[float, NDArray[np.float64]] = {}
    total = len(STRENGTHS) * len(splits)
    for strength in STRENGTHS:
        logits = np.zeros((len(truth), labels))
        for fold, (train, test) in enumerate(splits, 1):
            weight, bias = _fit(embeddings[train], truth[train], labels, strength)
            logits[test] = embeddings[test] @ weight.T + bias
            progress("cross-validation", len(held_out) * len(splits) + fold, total)
        held_out[strength] = logits
    best = max(
        STRENGTHS, key=lambda c: (unweighted_accuracy(truth, held_out[c].argmax(axis=1)), -c)
    )
    return best, held_out[best]


def _fit(
    embeddings: NDArray[np.float32], truth: NDArray[np.int64], labels: int, strength: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weight [labels, dim] and bias [labels] for unscaled embeddings."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    mean = embeddings.mean(axis=0, dtype=np.float64)
    scale = 1 / np.maximum(embeddings.std(axis=0, dtype=np.float64), 1e-6)
    model = LogisticRegression(C=strength, class_weight="balanced", max_iter=500)
    with warnings.catch_warnings():
        # With weak regularization it stops early, which changes no answer.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit((embeddings - mean) * scale, truth)
    coefficients, intercept = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # one row describes both
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercept = np.concatenate([-intercept, intercept]) / 2
    weight = np.zeros((labels, embeddings.shape[1]))
    bias = np.full(labels, NEVER)
    weight[model.classes_] = coefficients * scale
    bias[model.classes_] = intercept - weight[model.classes_] @ mean
    return weight, bias
