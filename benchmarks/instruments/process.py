"""Time and memory of whole processes."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

E2V = (sys.executable, "-m", "emotion2vec_edge.engine.cli")
"""First arguments of an ``e2v`` command."""


def run(*command: str) -> tuple[float, float]:
    """Wall-clock seconds and peak memory in MiB of a process.

    Raises:
        subprocess.CalledProcessError: the process failed.
    """
    started = time.perf_counter()
    peak = 0.0
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command, stdout=subprocess.DEVNULL, stderr=errors
        )
        # Resource usage of a child would begin with the memory of its parent: read VmHWM instead.
        while process.poll() is None:
            with contextlib.suppress(OSError, StopIteration, ProcessLookupError):
                status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
                peak = next(
                    int(line.split()[1]) / 1024
                    for line in status.splitlines()
                    if line.startswith("VmHWM")
                )
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.01)
        seconds = time.perf_counter() - started
        if process.returncode:
            errors.seek(0)
            raise subprocess.CalledProcessError(process.returncode, command, stderr=errors.read())
    return seconds, peak
