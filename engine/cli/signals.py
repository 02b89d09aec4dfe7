"""Signals that end a verb: Ctrl-C, and those that a service manager or a lost terminal sends."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from ..errors import E2VError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

RETRY_SECONDS = 0.01


class _Interruption:
    """Raises KeyboardInterrupt, now or as soon as it reaches the verb, and notes that it did."""

    def __init__(self) -> None:
        self.came = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The handler of a signal."""
        if _called_from_c(frame):
            retry = threading.Timer(RETRY_SECONDS, os.kill, (os.getpid(), number))
            retry.daemon = True
            retry.start()
            return
        self.came = True
        raise KeyboardInterrupt


@contextlib.contextmanager
def signals_interrupt() -> Iterator[None]:
    """Let every signal that ends a process raise KeyboardInterrupt in the block.

    It leaves the block as that even where an error of ours came of it: an import that is stopped,
    for one, ends with an ImportError. A signal that the process was started to ignore (``nohup``, a
    job in the background of a shell) stays ignored.
    """
    interruption = _Interruption()
    own = (signal.SIG_DFL, signal.default_int_handler)
    before = {
        number: signal.signal(number, interruption)
        for number in SIGNALS
        if signal.getsignal(number) in own
    }
    try:
        yield
    except E2VError:
        if interruption.came:
            raise KeyboardInterrupt from None
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _called_from_c(frame: FrameType | None) -> bool:
    """True in a callback of libsndfile, where an exception is printed and lost."""
    while frame is not None:
        if frame.f_globals.get("__name__") == "soundfile" and frame.f_code.co_name[:4] == "vio_":
            return True
        frame = frame.f_back
    return False
