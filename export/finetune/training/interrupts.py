"""Interruptions that wait until a training step is complete."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Notes the first Ctrl-C or SIGTERM; the second one interrupts at once.

    A step that is interrupted half way leaves some weights updated and others not, and a state
    saved then would not continue as if there had been no stop.
    """

    def __init__(self) -> None:
        self.requested = False

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    @contextlib.contextmanager
    def noted(self) -> Iterator[Interrupts]:
        """Note signals inside the block. Only the main thread can; others change nothing."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        # A signal that is ignored, as under nohup, stays so.
        heeded = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, self._note) for number in heeded}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
