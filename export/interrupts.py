"""Ctrl-C and SIGTERM during work that must not be left half done, or that swallows exceptions."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Notes the first signal; the second one raises KeyboardInterrupt at once.

    Args:
        at_once: raise KeyboardInterrupt at the first signal too, and note it in case that the
            exception does not come through.
    """

    def __init__(self, *, at_once: bool = False) -> None:
        self.at_once = at_once
        self.requested = False

    def check(self) -> None:
        """Raise KeyboardInterrupt after a signal."""
        if self.requested:
            raise KeyboardInterrupt

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

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        repeated, self.requested = self.requested, True
        if repeated or self.at_once:
            raise KeyboardInterrupt
