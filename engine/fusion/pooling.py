"""Log-linear pooling: the product of the modalities' scores, each to the power of its weight.

With weights of 1 this is the rule of Bayes for modalities that err independently. A modality that
is unsure has scores that are nearly alike, and so moves little; one that is missing moves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import ModalityError
from ..metrics import softmax
from .alignment import AlignedScores

NOTHING = "unknown"
"""Label id of the answer where no modality has scores."""

MOST_WEIGHT = 100.0


@dataclass(frozen=True)
class FusionWeights:
    """Weights of the modalities, and the temperature of the result."""

    weights: Mapping[str, float]
    """Weight by modality; one that is not named has 1."""
    temperature: float = 1.0
    """Divisor of the fused logits."""
    calibrated: bool = False
    """True if both were fitted on held-out speakers."""

    def __post_init__(self) -> None:
        for name, weight in self.weights.items():
            if not (math.isfinite(weight) and 0 <= weight <= MOST_WEIGHT):
                raise ModalityError(f"weight of {name} is {weight}; give 0 to {MOST_WEIGHT:g}")
        if not 0.01 <= self.temperature <= 100:
            raise ModalityError(f"temperature is {self.temperature}; give 0.01 to 100")

    def of(self, aligned: AlignedScores) -> NDArray[np.float64]:
        """Weights in the order of the modalities: [modalities].

        Raises:
            ModalityError: a weight for a modality that is not there.
        """
        if unknown := sorted(self.weights.keys() - set(aligned.modalities)):
            have = ", ".join(aligned.modalities)
            raise ModalityError(f"weight of {unknown[0]!r}, which has no scores; there are {have}")
        return np.array([self.weights.get(name, 1.0) for name in aligned.modalities])


@dataclass(frozen=True)
class FusedSpan:
    """The emotion of one stretch of time, from all modalities."""

    start: float
    end: float
    emotion: str
    confidence: float
    scores: Mapping[str, float]
    """Probability by label id."""
    contributions: Mapping[str, float]
    """Share of each modality in the evidence for the emotion; below 0 if it spoke against it. The
    absolute values sum to 1."""
    file: str = ""
    speaker: str | None = None

    def to_dict(self) -> dict[str, object]:
        """JSON-ready form, which can be fused again."""
        row: dict[str, object] = {
            "modality": "fused",
            "start": self.start,
            "end": self.end,
            "emotion": self.emotion,
            "confidence": self.confidence,
            "scores": dict(self.scores),
            "contributions": dict(self.contributions),
        }
        if self.file:
            row["file"] = self.file
        if self.speaker is not None:
            row["speaker"] = self.speaker
        return row


def fused_logits(aligned: AlignedScores, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted sum of the evidence, [spans, labels].

    Args:
        aligned: the modalities.
        weights: [modalities].
    """
    logits: NDArray[np.float64] = np.einsum(
        "smk,sm,m->sk", aligned.evidence, aligned.coverage, weights
    )
    return logits


def fuse(aligned: AlignedScores, weights: FusionWeights) -> list[FusedSpan]:
    """Fuse modalities that are aligned.

    Raises:
        ModalityError: a weight for a modality that is not there.
    """
    own = weights.of(aligned)
    scores = softmax(fused_logits(aligned, own) / weights.temperature)
    fused = []
    for row, span in enumerate(aligned.spans):
        best = int(scores[row].argmax())
        moved = own * aligned.coverage[row] * aligned.evidence[row, :, best]
        total = float(np.abs(moved).sum())
        shares = {} if total == 0 else dict(
            zip(aligned.modalities, (moved / total).round(4).tolist(), strict=True)
        )  # fmt: skip
        fused.append(
            FusedSpan(
                span.start, span.end, aligned.labels[best] if shares else NOTHING,
                float(scores[row, best]),
                dict(zip(aligned.labels, scores[row].tolist(), strict=True)), shares,
                span.file, span.speaker,
            )
        )  # fmt: skip
    return fused
