"""Runs of windows with one emotion, merged until none is too short."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Run(NamedTuple):
    """Windows ``first`` to ``last`` (exclusive) under one label."""

    first: int
    last: int
    label: int


def merge_short(runs: Sequence[Run], borders: NDArray[np.float64], min_seconds: float) -> list[Run]:
    """Give the shortest run to the longer of its neighbours until none is too short.

    Args:
        runs: in order, each beginning where the one before ends, neighbours of different labels.
        borders: seconds where each window begins, and where the last one ends: [windows + 1].
        min_seconds: shortest run that stays. Of runs of equal length the first one goes first, and
            of neighbours of equal length the left one takes it.

    Returns:
        the runs that are left, in order; one run stays however short it is.
    """

    def seconds(run: Run) -> float:
        return round(float(borders[run.last] - borders[run.first]), 6)  # for equal lengths

    starting = {run.first: run for run in runs}
    ending = {run.last: run for run in runs}
    shortest = [(seconds(run), run) for run in runs]
    heapq.heapify(shortest)
    while len(starting) > 1 and shortest[0][0] < min_seconds:
        _, run = heapq.heappop(shortest)
        if starting.get(run.first) != run:
            continue  # it was merged into a longer one
        sides = [side for side in (ending.get(run.first), starting.get(run.last)) if side]
        label = max(sides, key=seconds).label
        parts = [run, *(side for side in sides if side.label == label)]
        for part in parts:
            del starting[part.first], ending[part.last]
        merged = Run(min(p.first for p in parts), max(p.last for p in parts), label)
        starting[merged.first] = ending[merged.last] = merged
        heapq.heappush(shortest, (seconds(merged), merged))
    return [starting[first] for first in sorted(starting)]
