"""The last step of a model: logits from frames, with a head of one's own and a temperature.

A head that was fitted on one's own labels is ``head.npz`` beside the variants, so that one file
serves every precision; without it the graphs' own logits are used. Logits are divided by a
temperature that was fitted on held-out speech (Guo et al. 2017): no answer changes, and 80 % then
means right four times out of five on such speech.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import NoHeadError, OptionError
from .npy import read_arrays

HEAD = "head.npz"

LEAST_LABELS = 2
"""Labels that may be the answer, at least: one alone always has a probability of 1."""


@dataclass(frozen=True)
class Head:
    """Turns the encoder's outputs into logits."""

    weight: NDArray[np.float32] | None = None
    """float32 [labels, dim]; None uses the graph's own logits."""
    bias: NDArray[np.float32] | None = None
    """float32 [labels]."""
    temperature: float = 1.0
    mask: tuple[bool, ...] | None = None
    """True for each label that may be the answer; None if all may. Scores are made from the logits
    of these alone, and so sum to 1."""

    def kept(self, labels: Sequence[str]) -> tuple[str, ...]:
        """The labels of the model that may be the answer, in the order of the logits."""
        return tuple(labels if self.mask is None else itertools.compress(labels, self.mask))

    def __call__(
        self, frames: NDArray[np.float32], logits: NDArray[np.float32] | None
    ) -> NDArray[np.float32] | None:
        """Logits of every frame.

        Args:
            frames: float32 [frames, dim].
            logits: those of the graph, float32 [frames, labels]; None if it has no head.

        Returns:
            float32 [frames, labels that may be the answer]; None for a model without any head.
        """
        if self.weight is not None and self.bias is not None:
            logits = frames @ self.weight.T + self.bias
        if logits is None:
            return None
        if self.mask is not None:
            logits = logits[:, np.array(self.mask)]
        if self.temperature == 1.0:
            return logits
        scaled: NDArray[np.float32] = logits / np.float32(self.temperature)
        return scaled


def label_mask(
    chosen: Sequence[str] | None, labels: Sequence[str], model: str
) -> tuple[bool, ...] | None:
    """The mask of a :class:`Head` for the labels that a user chose; None if all are.

    Args:
        chosen: label ids, in any order; None takes all.
        labels: label ids of the model.
        model: its name, for messages.

    Raises:
        OptionError: a label that the model does not have, or fewer than two.
        NoHeadError: the model has no labels.
    """
    if chosen is None:
        return None
    if not labels:
        raise NoHeadError(f"{model} has no emotion head, and so no labels to choose from")
    known = f"{model} has {', '.join(labels)}"
    if isinstance(chosen, str):
        raise OptionError(f"labels is one text, {chosen!r}; give several label ids: {known}")
    unknown = [label for label in chosen if label not in labels]
    if unknown:
        raise OptionError(f"label {unknown[0]!r:.60} is not known: {known}")
    mask = tuple(label in chosen for label in labels)
    if sum(mask) < LEAST_LABELS:
        raise OptionError(f"{sum(mask)} labels; give at least {LEAST_LABELS}: {known}")
    return None if all(mask) else mask


def read_head(path: Path, labels: int, dim: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weight [labels, dim] and bias [labels] of a ``head.npz``.

    Raises:
        BundleFormatError: the file is no head of this model.
    """
    shapes: dict[str, tuple[int, ...]] = {"weight": (labels, dim), "bias": (labels,)}
    arrays = read_arrays(path, shapes, "a head")
    return arrays["weight"], arrays["bias"]
