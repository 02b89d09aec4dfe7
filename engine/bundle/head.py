"""What becomes of the frames after the encoder: another head, and confidence that means something.

A head that was fitted on one's own labels lies beside the graphs as ``head.npz``, so that one
bundle serves it in every precision; without it the graphs' own logits are taken. Either are
divided by a temperature that was fitted on held-out speech (Guo et al. 2017): no answer changes,
and 80 % then means right four times out of five on speech like that.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import BundleFormatError

HEAD = "head.npz"


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
