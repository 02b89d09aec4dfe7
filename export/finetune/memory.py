"""Memory settings of the C library for training."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

TUNABLES = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "68719476736",
    "MALLOC_TOP_PAD_": "268435456",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
"""Environment variables that glibc reads when a process starts. With them it keeps freed memory
instead of returning it and faulting it in again, page by page, at every step: without them a step
takes two to five times as long."""


def keep_freed_memory() -> None:
    """Start ``e2v`` again under :data:`TUNABLES`, once, where the C library is glibc."""
    if platform.libc_ver()[0] != "glibc" or "MALLOC_TOP_PAD_" in os.environ:
        return
    if Path(sys.argv[0]).name != "e2v":  # a library or a test: the process belongs to someone else
        return
    command = [sys.executable, "-m", "emotion2vec_edge.engine.cli", *sys.argv[1:]]
    os.execve(sys.executable, command, {**os.environ, **TUNABLES})  # noqa: S606 - our own arguments
