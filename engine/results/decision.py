"""The answer to one clip or window, from its scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

REJECTED = "unknown"
"""Label id of the answer if no score is high enough."""


def decide(
    labels: Sequence[str], scores: NDArray[np.float32], reject_below: float
) -> tuple[str, float]:
    """The label with the highest score, or :data:`REJECTED` below a limit, and that score.

    Args:
        labels: label ids.
        scores: float32 [labels].
        reject_below: the limit, a probability.
    """
    best = int(scores.argmax())
    confidence = float(scores[best])
    return labels[best] if confidence >= reject_below else REJECTED, confidence
