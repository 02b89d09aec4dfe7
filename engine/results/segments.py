"""Runs of windows with one emotion, merged until none is too short."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(eq=False)
class Run:
    """Windows ``first`` to ``last`` (exclusive) under one label, between its neighbours."""

    first: int
    last: int
    label: int
    before: Run | None = None
    after: Run | None = None
    gone: bool = False


def merged(runs: list[Run], borders: NDArray[np.float64], min_seconds: float) -> list[Run]:
    """Give the shortest run to the longer of its neighbours until none is too short."""
    for left, right in itertools.pairwise(runs):
        left.after, right.before = right, left

    def seconds(run: Run) -> float:
        return round(float(borders[run.last] - borders[run.first]), 6)  # ties go to the first

    # Entries of runs that have grown or gone since stay in the heap and are passed over.
    heap = [(seconds(run), run.first, run.last, run) for run in runs]
    heapq.heapify(heap)
    while heap and heap[0][0] < min_seconds:
        _, first, last, run = heapq.heappop(heap)
        sides = [side for side in (run.before, run.after) if side is not None]
        if run.gone or (run.first, run.last) != (first, last) or not sides:
            continue
        run.label = max(sides, key=seconds).label
        for side in sides:
            if side.label == run.label:
                _absorb(run, side)
        heapq.heappush(heap, (seconds(run), run.first, run.last, run))
    return [run for run in runs if not run.gone]


def _absorb(run: Run, side: Run) -> None:
    side.gone = True
    if side is run.before:
        run.first, run.before = side.first, side.before
        if run.before is not None:
            run.before.after = run
    else:
        run.last, run.after = side.last, side.after
        if run.after is not None:
            run.after.before = run
