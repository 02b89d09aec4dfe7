"""Drift: has what a box hears changed? Two stores compared, by chance and by shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError
from .clips import StoredClip
from .clusters import mean_scores

MOST_COMPARED = 1_000
"""Embeddings of each store that are compared, spread evenly."""
PERMUTATIONS = 999
LEAST_CLIPS = 10
CHANGED = 0.01
"""Probability of such a distance by chance, below which the input counts as changed."""


@dataclass(frozen=True)
class Drift:
    """The difference between two stores."""

    clips: tuple[int, int]
    distance: float
    """Energy distance of the two sets of vectors; 0 for the same distribution."""
    p_value: float
    """Probability of such a distance, or a larger one, if nothing had changed."""
    changed: bool
    """True if that is below 0.01."""
    shares: dict[str, tuple[float, float]]
    """Mean probability of each emotion in both, largest change first."""
    confidence: tuple[float | None, float | None]
    """Mean confidence in both."""
    warned: tuple[dict[str, float], dict[str, float]]
    """Share of recordings with each warning, such as ``clipped``, in both."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)


def compare_stores(
    first: NDArray[np.float32],
    first_clips: Sequence[StoredClip],
    second: NDArray[np.float32],
    second_clips: Sequence[StoredClip],
) -> Drift:
    """Compare two sets of embeddings in one space.

    Recordings, and not their turns or windows, are exchanged between the sets to learn what
    distances chance gives.

    Args:
        first: float32 [clips, size], in the space.
        first_clips: what they are of.
        second: float32 [clips, size].
        second_clips: what they are of.

    Raises:
        OptionError: too few embeddings.
    """
    for clips in (first_clips, second_clips):
        if len(clips) < LEAST_CLIPS:
            raise OptionError(f"{len(clips)} embeddings; a comparison needs {LEAST_CLIPS} of each")
    rows = [_spread(len(clips)) for clips in (first_clips, second_clips)]
    vectors = np.concatenate([first[rows[0]], second[rows[1]]]).astype(np.float64)
    files = [(0, first_clips[i].path) for i in rows[0].tolist()] + [
        (1, second_clips[i].path) for i in rows[1].tolist()
    ]
    distance, p_value = _permuted(vectors, files, len(rows[0]))
    means = mean_scores(first_clips), mean_scores(second_clips)
    labels = sorted(
        means[0].keys() | means[1].keys(),
        key=lambda label: -abs(means[0].get(label, 0) - means[1].get(label, 0)),
    )
    return Drift(
        (len(first_clips), len(second_clips)), distance, p_value, p_value < CHANGED,
        {label: (means[0].get(label, 0.0), means[1].get(label, 0.0)) for label in labels},
        (_confidence(first_clips), _confidence(second_clips)),
        (_warned(first_clips), _warned(second_clips)),
    )  # fmt: skip


def _spread(count: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, count - 1, min(count, MOST_COMPARED)).astype(np.int64))


def _permuted(
    vectors: NDArray[np.float64], files: Sequence[tuple[int, str]], first: int
) -> tuple[float, float]:
    """Energy distance of the first vectors to the others, and its p-value by permutation."""
    squares = (vectors**2).sum(axis=1)
    between = squares[:, None] + squares[None] - 2 * vectors @ vectors.T
    distances = np.sqrt(np.maximum(between, 0.0))
    names: dict[tuple[int, str], int] = {}
    group = np.array([names.setdefault(file, len(names)) for file in files])
    rng = np.random.default_rng(0)
    sides = np.arange(len(names)) < len(set(files[:first]))

    def energy(own: NDArray[np.bool_]) -> float:
        a = own[group].astype(np.float64)
        b = 1.0 - a
        to_a, to_b = distances @ a, distances @ b
        count_a, count_b = a.sum(), b.sum()
        within = a @ to_a / count_a**2 + b @ to_b / count_b**2
        return float(2 * (a @ to_b) / (count_a * count_b) - within)

    found = energy(sides)
    as_large = sum(energy(rng.permutation(sides)) >= found - 1e-12 for _ in range(PERMUTATIONS))
    return max(found, 0.0), (as_large + 1) / (PERMUTATIONS + 1)


def _confidence(clips: Sequence[StoredClip]) -> float | None:
    known = [clip.confidence for clip in clips if clip.confidence is not None]
    return float(np.mean(known)) if known else None


def _warned(clips: Sequence[StoredClip]) -> dict[str, float]:
    codes = sorted({code for clip in clips for code in clip.warnings})
    return {code: sum(code in clip.warnings for clip in clips) / len(clips) for code in codes}
