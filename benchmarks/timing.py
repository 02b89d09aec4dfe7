"""Timing that can be believed on a noisy machine: tasks in turns, warm-up left out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence


def interleaved(tasks: Sequence[Callable[[], object]], rounds: int) -> list[list[float]]:
    """Run tasks in turns, after one round that is not counted; seconds of each run of each task."""
    seconds: list[list[float]] = [[] for _ in tasks]
    for number in range(rounds + 1):
        for taken, task in zip(seconds, tasks, strict=True):
            started = time.perf_counter()
            task()
            if number:
                taken.append(time.perf_counter() - started)
    return seconds
