"""Timing that can be believed on a noisy machine: tasks in turns, warm-up left out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

PAUSE_SECONDS = 0.05


def interleaved(tasks: Sequence[Callable[[], object]], rounds: int) -> list[list[float]]:
    """Run tasks in turns, after one round that is not counted; seconds of each run of each task.

    Before each run there is a pause: threads of the one before may spin for a while.
    """
    seconds: list[list[float]] = [[] for _ in tasks]
    for number in range(rounds + 1):
        for taken, task in zip(seconds, tasks, strict=True):
            time.sleep(PAUSE_SECONDS)
            started = time.perf_counter()
            task()
            if number:
                taken.append(time.perf_counter() - started)
    return seconds


@dataclass(frozen=True)
class Ratio:
    """How many times as long one task took as another, round by round."""

    median: float
    low: float
    """First quartile of the rounds."""
    high: float
    """Third quartile."""

    def __str__(self) -> str:
        return f"{self.median:.2f} [{self.low:.2f}, {self.high:.2f}]"


def ratio(slow: Sequence[float], fast: Sequence[float]) -> Ratio:
    """The ratio of two tasks that ran in turns; what slowed a round slowed both."""
    low, median, high = np.percentile(np.array(slow) / np.array(fast), [25, 50, 75])
    return Ratio(float(median), float(low), float(high))


def percentiles(runs: Sequence[float]) -> tuple[float, float, float]:
    """p50, p90 and p99, as numpy interpolates them."""
    p50, p90, p99 = np.percentile(runs, [50, 90, 99])
    return float(p50), float(p90), float(p99)
