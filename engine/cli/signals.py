"""Signals that end a verb: Ctrl-C, and SIGTERM, as a service manager sends it."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")


@contextlib.contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt in the block."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Interruption:
    """A request to stop, remembered: what is raised in a callback from C reaches nobody."""

    def __init__(self) -> None:
        self.requested = False

    def __call__(self, *_: object) -> None:
        """Handle a signal."""
        self.requested = True
        raise KeyboardInterrupt

    def passed(self, value: T) -> T:
        """The value; raises KeyboardInterrupt after a request to stop."""
        if self.requested:
            raise KeyboardInterrupt
        return value


@contextlib.contextmanager
def interruptible() -> Iterator[Interruption]:
    """Let SIGINT and SIGTERM raise KeyboardInterrupt in the block, and remember that they came."""
    interruption = Interruption()
    signals = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else a shell has ignored it
        signals.append(signal.SIGINT)
    before = {number: signal.signal(number, interruption) for number in signals}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
