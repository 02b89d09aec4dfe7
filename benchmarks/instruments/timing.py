"""Timing for a noisy machine: tasks take turns, and a warm-up is left out."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

T = TypeVar("T")

PAUSE_SECONDS = 0.05
"""Pause before each run, because threads of the run before may spin for a while."""

ADAPTING_SECONDS = 0.6
"""Pause before and after a run that does not count, after each change of the surroundings: the
engine looks twice per second for processors that others keep busy."""


def in_turns(
    tasks: Sequence[Callable[[T], object]],
    inputs: Sequence[T],
    surroundings: Sequence[Callable[[], AbstractContextManager[None]]] = (nullcontext,),
) -> list[list[float]]:
    """Seconds of each run of each task; the tasks take turns with every input.

    Args:
        tasks: functions to time.
        inputs: argument of each round; the first is a warm-up that is not counted.
        surroundings: contexts in which the tasks run, also in turns.

    Returns:
        Seconds of each counted round: for each surrounding, for each task.
    """
    seconds: list[list[float]] = [[] for _ in surroundings for _ in tasks]
    for number, given in enumerate(inputs):
        runs = iter(seconds)
        for surrounding in surroundings:
            with surrounding():
                if len(surroundings) > 1:
                    _adapt(tasks, given)
                for task in tasks:
                    time.sleep(PAUSE_SECONDS)
                    started = time.perf_counter()
                    task(given)
                    taken = time.perf_counter() - started
                    next(runs).extend([taken] if number else [])
    return seconds


def _adapt(tasks: Sequence[Callable[[T], object]], given: T) -> None:
    time.sleep(ADAPTING_SECONDS)
    for task in tasks:
        task(given)
    time.sleep(ADAPTING_SECONDS)


def interleaved(tasks: Sequence[Callable[[], object]], rounds: int) -> list[list[float]]:
    """Seconds of each run of each task; the tasks take turns, and one round before is not counted.

    Args:
        tasks: functions to time.
        rounds: runs of each task that count.
    """

    def run(task: Callable[[], object], _: int) -> None:
        task()

    return in_turns([functools.partial(run, task) for task in tasks], range(rounds + 1))


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
