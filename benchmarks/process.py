"""Whole processes: how long they take, and how much memory."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from pathlib import Path

E2V = (sys.executable, "-m", "emotion2vec_edge.engine.cli")


def run(*command: str) -> tuple[float, float]:
    """Wall seconds and peak memory in MiB of a process.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    started = time.perf_counter()
    peak = 0.0
    process = subprocess.Popen(  # noqa: S603 - our own command
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    # Not the resource usage of a child: that begins with the memory of the one that started it.
    while process.poll() is None:
        with contextlib.suppress(OSError, StopIteration, ProcessLookupError):
            lines = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines()
            peak = next(int(x.split()[1]) / 1024 for x in lines if x.startswith("VmHWM"))
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.01)
    seconds = time.perf_counter() - started
    _, errors = process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, stderr=errors)
    return seconds, peak
