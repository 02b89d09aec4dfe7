"""Sessions on the processor that leave other processes the processors that these keep busy.

The threads of a session divide each operator among themselves, and wait for the last one. Where one
of them shares its processor with another process, all wait while that runs, thousands of times per
second: with one of two processors busy, 3 s of plus_large took 5 times as long as on a quiet
machine, and with one thread twice as long. So there is a pair of sessions for the quiet machine,
and another one, with fewer threads, is opened when processors are found busy. Answers do not
depend on the number of threads.

Both hold the weights in memory, unless they were packed ahead of time: then both map one file.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ...errors import E2VError
from ..hardware import OtherWork
from ..session import Session

Pair: TypeAlias = tuple[Session, Session]
"""Sessions of ``frontend`` and ``encoder``."""

KEEP_SECONDS = 10.0
"""Seconds that a number of threads below the most is kept, because sessions take time to open."""


class _Pairs:
    """The sessions of one model by their number of threads: the most, and one number below."""

    def __init__(self, open_pair: Callable[[int], Pair], most: int, others: OtherWork) -> None:
        self._open_pair = open_pair
        self._most = most
        self._others = others
        self._lock = threading.Lock()
        self._opened = time.monotonic()
        self._failed = False
        threads = self._free()
        self._pairs = {threads: open_pair(threads)}

    def current(self) -> Pair:
        """The sessions to run now."""
        with self._lock:
            threads = self._free()
            if threads not in self._pairs and not self._failed:
                self._open(threads)
            return self._pairs.get(threads) or self._pairs[min(self._pairs)]

    def _free(self) -> int:
        return max(1, self._most - self._others.busy())

    def _open(self, threads: int) -> None:
        """Open sessions in place of others below the most; a failure leaves those that work."""
        below = {number: pair for number, pair in self._pairs.items() if number != self._most}
        if threads != self._most and below:
            if time.monotonic() - self._opened < KEEP_SECONDS:
                return
        else:
            below = {}
        try:
            self._pairs[threads] = self._open_pair(threads)
        except E2VError:  # the bundle was removed or replaced, or memory is short
            self._failed = True
            return
        self._opened = time.monotonic()
        for number in below:
            del self._pairs[number]


class _AdaptiveSession:
    """One of both sessions, with as many threads as processors are free at each run."""

    def __init__(self, pairs: _Pairs, index: int) -> None:
        self._pairs = pairs
        self._index = index

    def run(self, names: None, feeds: Mapping[str, Any]) -> list[Any]:
        """As ``onnxruntime.InferenceSession.run``."""
        output: list[Any] = self._pairs.current()[self._index].run(names, feeds)
        return output


def adaptive_sessions(
    open_pair: Callable[[int], Pair], threads: int, others: OtherWork
) -> tuple[Session, Session]:
    """Sessions of ``frontend`` and ``encoder`` that adapt to the work of other processes.

    Args:
        open_pair: opens both with a number of threads.
        threads: the most that they take.
        others: counts the processors that are busy.

    Raises:
        ModelError, ProviderError: of ``open_pair``, the first time that it is called.
    """
    pairs = _Pairs(open_pair, threads, others)
    return _AdaptiveSession(pairs, 0), _AdaptiveSession(pairs, 1)
