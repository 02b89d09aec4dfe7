"""Measures of a space: do the neighbours of a clip share its emotion?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..metrics import unweighted_accuracy
from ..settings import NEIGHBOURS
from .space import unit

QUERY_BLOCK = 256
"""Clips whose neighbours are ranked at once."""

LEAST_VOTE = 1e-6
"""Vote of a neighbour whose cosine is negative."""

COSINE_BINS = 4_000
"""Bins of the cosines from −1 to 1, from which the equal-error rate is read."""


@dataclass(frozen=True)
class Retrieval:
    """Measures of one space on labelled clips."""

    clips: int
    knn_ua: float
    """Unweighted accuracy of the vote of the nearest neighbours, each by its cosine."""
    mean_average_precision: float
    """Mean over the clips of the average precision of their ranked neighbours."""
    equal_error_rate: float
    """Share of pairs wrongly told apart, at the cosine where both kinds of error are as many."""


@dataclass(frozen=True)
class Pairs:
    """Cosines of pairs of clips that may be neighbours."""

    cosines: NDArray[np.float32]
    """float32 [pairs]."""
    same: NDArray[np.bool_]
    """True for a pair of one emotion: bool [pairs]."""


def measure_retrieval(
    vectors: NDArray[np.float32],
    truth: NDArray[np.int64],
    excluded: Sequence[str],
    neighbours: int = NEIGHBOURS,
) -> Retrieval | None:
    """Rank the neighbours of every clip.

    Args:
        vectors: float32 [clips, size], in the space.
        truth: label index of each clip, int64 [clips].
        excluded: group of each clip, such as its speaker; clips of one group are no neighbours.
        neighbours: number of the nearest that vote.

    Returns:
        the measures; None if no clip has neighbours of its own and of another emotion.
    """
    found, precisions, used = [], [], []
    histograms = np.zeros((2, COSINE_BINS))
    for rows, cosines, allowed in _blocks(vectors, excluded):
        relevant = truth[rows][:, None] == truth[None]
        for own in (0, 1):
            inside = cosines[allowed & (relevant == bool(own))]
            bins = ((inside + 1) * (COSINE_BINS / 2)).astype(int).clip(0, COSINE_BINS - 1)
            histograms[own] += np.bincount(bins, minlength=COSINE_BINS)
        order = np.argsort(np.where(allowed, -cosines, np.inf), axis=1, kind="stable")
        for i, row in enumerate(rows):
            ranked = order[i, : allowed[i].sum()]
            hits = truth[ranked] == truth[row]
            if not hits.any():
                continue
            ranks = np.flatnonzero(hits) + 1
            precisions.append(float((np.arange(1, len(ranks) + 1) / ranks).mean()))
            nearest = ranked[:neighbours]
            weights = np.maximum(cosines[i, nearest], LEAST_VOTE)
            found.append(int(np.bincount(truth[nearest], weights).argmax()))
            used.append(int(row))
    if not used or not histograms.sum(axis=1).all():
        return None
    return Retrieval(
        len(used),
        unweighted_accuracy(truth[used], np.array(found)),
        float(np.mean(precisions)),
        _equal_error_rate(histograms),
    )


def sampled_pairs(
    vectors: NDArray[np.float32],
    truth: NDArray[np.int64],
    excluded: Sequence[str],
    most: int,
    rng: np.random.Generator,
) -> Pairs:
    """At most ``most`` pairs of one emotion and as many of two, of different groups, by chance.

    Args:
        vectors: float32 [clips, size], in the space.
        truth: label index of each clip, int64 [clips].
        excluded: group of each clip; both clips of a pair are of different ones.
        most: number of pairs of each kind.
        rng: source of chance.
    """
    kinds: tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]] = ([], [])
    share = max(1, most * QUERY_BLOCK // max(1, len(truth)) + 1)
    for rows, cosines, allowed in _blocks(vectors, excluded):
        relevant = truth[rows][:, None] == truth[None]
        for own, kept in enumerate(kinds):
            inside = cosines[allowed & (relevant == bool(own))]
            kept.append(rng.permutation(inside)[:share] if len(inside) > share else inside)
    different, same = (np.concatenate(kept)[:most] for kept in kinds)
    count = min(len(different), len(same))
    return Pairs(np.concatenate([different[:count], same[:count]]), np.repeat([False, True], count))


def _blocks(
    vectors: NDArray[np.float32], excluded: Sequence[str]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_]]]:
    """Numbers of some clips, their cosines to all, and True for those that may be neighbours."""
    scaled = unit(vectors)
    _, groups = np.unique(np.array(excluded), return_inverse=True)
    for start in range(0, len(scaled), QUERY_BLOCK):
        rows = np.arange(start, min(start + QUERY_BLOCK, len(scaled)))
        yield rows, scaled[rows] @ scaled.T, groups[rows][:, None] != groups[None]


def _equal_error_rate(histograms: NDArray[np.float64]) -> float:
    """Error rate at the cosine where as many same pairs lie below as different ones above.

    Args:
        histograms: pairs by cosine, of different and of same emotion: [2, bins].
    """
    different, same = histograms / histograms.sum(axis=1, keepdims=True)
    missed = np.concatenate([[0.0], np.cumsum(same)])
    accepted = 1 - np.concatenate([[0.0], np.cumsum(different)])
    nearest = int(np.abs(missed - accepted).argmin())
    return float((missed[nearest] + accepted[nearest]) / 2)
