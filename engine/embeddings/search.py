"""Exact search among up to a million vectors, in blocks that take little memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError
from ..settings import NEIGHBOURS
from .clips import StoredClip
from .space import Space, checked_vectors, unit
from .store import Content

SEARCH_BLOCK = 65_536
"""Vectors that are compared at once."""


@dataclass(frozen=True)
class Found:
    """One vector near a query."""

    number: int
    """Place of the vector in the store, from 0."""
    cosine: float
    clip: StoredClip
    same_emotion: float | None = None
    """Calibrated probability of the query's emotion; None without a calibration."""


class Index:
    """Vectors that are ready to be searched.

    Args:
        vectors: float32 [count, size], in the space; any length.
    """

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self.vectors = np.ascontiguousarray(unit(vectors))

    def nearest(
        self, query: NDArray[np.float32], count: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Numbers and cosines of the nearest vectors, best first.

        Args:
            query: float32 [size], in the space.
            count: number of them, at most.
            allowed: True for each vector that may be found; None for all.

        Returns:
            int64 [found], float32 [found].
        """
        scaled = unit(query[None])[0]
        numbers = np.zeros(0, np.int64)
        cosines = np.zeros(0, np.float32)
        for start in range(0, len(self.vectors), SEARCH_BLOCK):
            own = self.vectors[start : start + SEARCH_BLOCK] @ scaled
            if allowed is not None:
                own[~allowed[start : start + SEARCH_BLOCK]] = -np.inf
            least = cosines[-1] if len(cosines) >= count else -np.inf
            better = np.flatnonzero(own > least)
            if len(better) > count:
                better = better[np.argpartition(-own[better], count - 1)[:count]]
            numbers = np.concatenate([numbers, better + start])
            cosines = np.concatenate([cosines, own[better]])
            order = np.lexsort((numbers, -cosines))[:count]
            numbers, cosines = numbers[order], cosines[order]
        return numbers, cosines


def nearest_clips(
    content: Content,
    query: NDArray[np.float32],
    space: Space,
    count: int = NEIGHBOURS,
    keep: Callable[[StoredClip], bool] | None = None,
    speakers: Sequence[str | None] | None = None,
) -> list[Found]:
    """The clips of a store that are nearest to an embedding.

    Args:
        content: the store.
        query: float32 [dim]: the embedding.
        space: the space in which they are compared.
        count: number of clips, at most.
        keep: True for a clip that may be found; None keeps all.
        speakers: the speaker of each clip and, last, of the query, to take the mean of each
            speaker away; None leaves it.

    Raises:
        OptionError: a count under 1, or an embedding of another size, or NaN.
    """
    if count < 1:
        raise OptionError(f"count is {count}; give at least 1")
    wanted = checked_vectors(query[None], space.dim)
    if speakers is None:
        vectors, (own,) = space.transform(content.vectors), space.transform(wanted)
    else:
        together = space.transform(np.concatenate([content.vectors, wanted]), speakers)
        vectors, own = together[:-1], together[-1]
    allowed = None if keep is None else np.array([keep(clip) for clip in content.clips], bool)
    return found_clips(Index(vectors), content.clips, own, space, count, allowed)


def found_clips(
    index: Index,
    clips: Sequence[StoredClip],
    query: NDArray[np.float32],
    space: Space,
    count: int,
    allowed: NDArray[np.bool_] | None = None,
) -> list[Found]:
    """The clips whose vectors are nearest to a query.

    Args:
        index: the vectors, in the space.
        clips: the clip of each.
        query: float32 [size], in the space.
        space: the space.
        count: number of clips, at most.
        allowed: True for each clip that may be found; None for all.
    """
    numbers, cosines = index.nearest(query, count, allowed)
    return [
        Found(number, cosine, clips[number], space.same_emotion(cosine))
        for number, cosine in zip(numbers.tolist(), cosines.tolist(), strict=True)
    ]
