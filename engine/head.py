"""What becomes of the frames after the encoder: another head, and confidence that means something.

A head that was fitted on one's own labels lies beside the graphs as ``head.npz``, so that one
bundle serves it in every precision; without it the graphs' own logits are taken. Either are
divided by a temperature that was fitted on held-out speech (Guo et al. 2017): no answer changes,
and 80 % then means right four times out of five on speech like that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .errors import BundleFormatError, OptionError

HEAD = "head.npz"
REJECTED = "unknown"
"""The answer where none is sure enough."""


@dataclass(frozen=True)
class Head:
    """From the encoder's outputs to logits."""

    weight: NDArray[np.float32] | None = None
    """float32 [labels, dim]; None takes the graph's own logits."""
    bias: NDArray[np.float32] | None = None
    """float32 [labels]."""
    temperature: float = 1.0

    def __call__(
        self, frames: NDArray[np.float32], logits: NDArray[np.float32] | None
    ) -> NDArray[np.float32] | None:
        """Frames [frames, dim] and the graph's logits → logits [frames, labels], if any."""
        if self.weight is not None and self.bias is not None:
            logits = frames @ self.weight.T + self.bias
        if logits is None or self.temperature == 1.0:
            return logits
        scaled: NDArray[np.float32] = logits / np.float32(self.temperature)
        return scaled


def read_head(path: Path, labels: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weight [labels, dim] and bias [labels] of a ``head.npz``.

    Raises:
        BundleFormatError: it is not one.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            weight, bias = arrays["weight"], arrays["bias"]
        if weight.ndim != 2 or weight.shape[0] != labels or bias.shape != (labels,):
            raise ValueError(f"shapes {weight.shape} and {bias.shape} for {labels} labels")
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise ValueError("it holds NaN or infinite weights")
        return weight.astype(np.float32), bias.astype(np.float32)
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise BundleFormatError(f"{path}: not a head: {error}") from None


def answer(
    labels: Sequence[str], scores: NDArray[np.float32], reject_below: float
) -> tuple[str, float]:
    """The best label of ``scores`` [labels], or :data:`REJECTED` below a limit, and its score."""
    best = int(scores.argmax())
    confidence = float(scores[best])
    return labels[best] if confidence >= reject_below else REJECTED, confidence


def check_reject_below(value: float) -> None:
    """Refuse a limit that is no probability.

    Raises:
        OptionError: it is not.
    """
    if not 0 <= value <= 1:
        raise OptionError(f"reject below {value!r}; give a probability from 0 (nothing) to 1")


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
