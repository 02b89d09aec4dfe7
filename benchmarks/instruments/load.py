"""Other work on the machine: processes that keep processors busy."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.runtime.hardware import usable_threads

# PR_SET_PDEATHSIG (1 in linux/prctl.h): the process dies with its parent, also while it is stopped.
SPIN = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
while os.getppid() == int(sys.argv[1]):
    for _ in range(1_000_000):
        pass
"""


def check_busy(processors: int) -> None:
    """Raises OptionError if there are fewer processors than should be busy."""
    if processors > usable_threads():
        raise OptionError(
            f"--busy {processors}: this process may use {usable_threads()} processors; give at "
            "most as many"
        )


@contextlib.contextmanager
def paused_load(processors: int) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Processes that each keep one processor busy, stopped at first.

    Args:
        processors: number of processes; the system decides which processors they run on.

    Yields:
        A function that returns a context in which the processes run.
    """
    command = (sys.executable, "-c", SPIN, str(os.getpid()))
    with contextlib.ExitStack() as stack:
        spinning = []
        for _ in range(processors):
            process = stack.enter_context(subprocess.Popen(command))  # noqa: S603 - our own command
            stack.callback(process.kill)
            process.send_signal(signal.SIGSTOP)
            spinning.append(process)

        @contextlib.contextmanager
        def running() -> Iterator[None]:
            for process in spinning:
                process.send_signal(signal.SIGCONT)
            try:
                yield
            finally:
                for process in spinning:
                    process.send_signal(signal.SIGSTOP)

        yield running
