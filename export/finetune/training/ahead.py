"""Batches in the making: the part that the processors do, in threads, while a GPU is at work."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import torch

from emotion2vec_edge.engine.runtime.hardware import usable_threads

T = TypeVar("T")


def spare_threads(device: torch.device) -> int:
    """Threads that may work beside a training: none on the processors that train."""
    return 0 if device.type == "cpu" else max(1, usable_threads() - 1)


class Ahead(Generic[T]):
    """Makes something for each step, a few steps ahead of the one that is asked for.

    It must depend on the step alone, so it is the same with any number of threads.

    Args:
        make: makes it for a step, in any thread.
        threads: number of threads; 0 makes it when it is asked for.
    """

    def __init__(self, make: Callable[[int], T], threads: int) -> None:
        self._make = make
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, "ahead") if threads else None
        self._coming: dict[int, Future[T]] = {}

    def __getitem__(self, step: int) -> T:
        """The result for a step; raises what making it raised."""
        if self._pool is None:
            return self._make(step)
        wanted = range(step, step + self._threads + 1)
        self._coming = {
            later: self._coming.get(later) or self._pool.submit(self._make, later)
            for later in wanted
        }
        return self._coming[step].result()
