"""Timing for a noisy machine: tasks take turns, and a warm-up is left out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

PAUSE_SECONDS = 0.05
"""Pause before each run, because threads of the run before may spin for a while."""


def interleaved(tasks: Sequence[Callable[[], object]], rounds: int) -> list[list[float]]:
    """Seconds of each run of each task; the tasks take turns, and one round before is not counted.

    Args:
        tasks: functions to time.
        rounds: runs of each task that count.
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
    """Time of one task divided by that of another, round by round."""

    median: float
    low: float
    """First quartile of the rounds."""
    high: float
    """Third quartile of the rounds."""

    def __str__(self) -> str:
        return f"{self.median:.2f} [{self.low:.2f}, {self.high:.2f}]"


def ratio(slow: Sequence[float], fast: Sequence[float]) -> Ratio:
    """Ratio of two tasks that took turns: a disturbance of a whole round slows both alike."""
    low, median, high = np.percentile(np.array(slow) / np.array(fast), [25, 50, 75])
    return Ratio(float(median), float(low), float(high))


def percentiles(runs: Sequence[float]) -> tuple[float, float, float]:
    """p50, p90 and p99, linearly interpolated."""
    p50, p90, p99 = np.percentile(runs, [50, 90, 99])
    return float(p50), float(p90), float(p99)
