"""From the scores of one clip to its answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

REJECTED = "unknown"
"""The answer where none is sure enough."""


def decide(
    labels: Sequence[str], scores: NDArray[np.float32], reject_below: float
) -> tuple[str, float]:
    """The best label of ``scores`` [labels], or :data:`REJECTED` below a limit, and its score."""
    best = int(scores.argmax())
    confidence = float(scores[best])
    return labels[best] if confidence >= reject_below else REJECTED, confidence
