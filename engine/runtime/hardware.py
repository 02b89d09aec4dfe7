"""The processors, the memory and the GPU that this process may use."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import OptionError

STATISTICS = Path("/proc/stat")
"""Linux's times of the processors since the start of the machine."""
READING_SECONDS = 0.5
"""Seconds between two readings of the processors' busy time, which Linux counts in 10 ms."""
FIRST_READING_SECONDS = 0.1
"""The same for the first two, which a command has while it starts."""
PROCESS = Path("/proc/self")
"""Linux's folder about this process."""
MEMORY = Path("/proc/meminfo")
"""Linux's description of the memory."""
CONTROL_GROUPS = Path("/sys/fs/cgroup")
"""Linux's control groups, by which containers and services are limited."""


def pinned_processors(threads: int) -> str:
    """Processor of each thread of a session but the caller's, in ONNX Runtime's format.

    Linux wakes a thread on the processor of the one that wakes it, and may take a tick of its clock
    (4 ms) to move it on: after half a second of rest a clip of 3 s took 24 ms instead of 11. A
    session that uses all processors has one for each thread. With fewer threads the scheduler
    knows better which processors are free, so that nothing is set: an empty text.
    """
    if not hasattr(os, "sched_getaffinity"):
        return ""
    processors = sorted(os.sched_getaffinity(0))
    if threads != len(processors):
        return ""
    return ";".join(str(processor + 1) for processor in processors[1:])  # counted from 1


def visible_processors() -> int:
    """Processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def usable_threads() -> int:
    """Processors that this process may use all the time.

    They are those that it may run on, or fewer where a control group limits its time, as
    ``docker run --cpus`` and Kubernetes do. Of a limit of 2.5 two are used: a third thread would
    stop all of them when the time of a period is used up.
    """
    return max(1, int(min(visible_processors(), _processor_limit())))


def _processor_limit() -> float:
    """Processors whose time the control groups of this process get together."""
    limits = [math.inf]
    version_2 = (text.split() for text in _group_files("cpu", "cpu.max"))
    version_1 = zip(
        _group_files("cpu", "cpu.cfs_quota_us"), _group_files("cpu", "cpu.cfs_period_us"),
        strict=False,
    )  # fmt: skip
    for quota, period in itertools.chain(version_2, version_1):
        if quota != "max" and int(quota) > 0:
            limits.append(int(quota) / int(period))
    return min(limits)


def _group_files(controller: str, name: str) -> Iterator[str]:
    """Content of a file of each control group that this process is in, from its own upwards.

    In a container the groups above it, and with version 1 the path of its own, are not visible.
    """
    try:
        lines = (PROCESS / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = CONTROL_GROUPS / controller if controllers else CONTROL_GROUPS
        own = root / path.lstrip("/")
        for folder in (own, *own.parents):
            with contextlib.suppress(OSError):
                yield (folder / name).read_text(encoding="utf-8")
            if folder == root:
                break


def free_memory() -> int | None:
    """Bytes of memory that new processes may take; None where Linux does not tell.

    They are what the machine has available, or less where a control group limits it.
    """
    available = _table(MEMORY).get("MemAvailable")
    if available is None:
        return None
    free = [available]
    for limit, used, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        names = (limit, used, "memory.stat")
        for files in zip(*(_group_files("memory", name) for name in names), strict=False):
            most, now, statistics = (text.split() for text in files)
            if most != ["max"]:
                # The cache of files counts as used, and gives way.
                gives_way = statistics[statistics.index(cache) + 1] if cache in statistics else 0
                free.append(int(most[0]) - int(now[0]) + int(gives_way))
    return max(0, min(free))


def private_memory() -> int | None:
    """Bytes of memory that this process shares with no other; None where Linux does not tell."""
    return _table(PROCESS / "status").get("RssAnon")


def _table(path: Path) -> dict[str, int]:
    """Rows ``Name: 123 kB`` of a file of Linux, in bytes; none of a file that is not there."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    rows = [line.replace(":", " ").split() for line in lines if line.endswith(" kB")]
    return {name: int(value) * 1024 for name, value, _ in rows}


def checked_threads(threads: int | None) -> int:
    """The number of threads to use.

    Args:
        threads: 1 to 1024; None takes all processors that this process may use.

    Raises:
        OptionError: another number.
    """
    if threads is None:
        return usable_threads()
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= 1024:
        raise OptionError(f"threads is {threads!r}; give 1 to 1024")
    return threads


class OtherWork:
    """Counts the processors that other processes keep busy, among those that this one may use.

    Linux tells the busy time of each processor since the start of the machine; this process's own
    is taken off. On other systems no processor counts as busy. Where a control group limits the
    processors' time, those beyond the limit are spare: as many may be busy without a loss.
    """

    def __init__(self) -> None:
        self._spare = visible_processors() - usable_threads()
        self._own_is_low = hasattr(os, "getpriority") and os.getpriority(os.PRIO_PROCESS, 0) > 0
        self._last = (time.monotonic(), *self._times())
        self._wait = FIRST_READING_SECONDS
        self._busy = 0

    def busy(self) -> int:
        """Processors that were busy between the last two readings, which are half a second apart.

        A processor that others use for a tenth of the time is free for this process, and one that
        a thread of this process shares with one of theirs shows no more than half of the time as
        theirs: so it counts as busy from 40 %, and then until it is below 25 %.
        """
        now, (then, others, own) = time.monotonic(), self._last
        if now - then >= self._wait:
            self._wait = READING_SECONDS
            self._last = (now, *self._times())
            busy = max(0.0, self._last[1] - others - (self._last[2] - own)) / (now - then)
            self._busy = min(max(self._busy, int(busy + 0.6)), int(busy + 0.75))
        return max(0, self._busy - self._spare)

    def _times(self) -> tuple[float, float]:
        """Seconds that the processors were busy, and that this process ran on any of them."""
        try:
            text = STATISTICS.read_text(encoding="ascii")
            lines = [line.split() for line in text.splitlines() if line.startswith("cpu")]
            processors = {f"cpu{number}" for number in os.sched_getaffinity(0)}
            ticks = 0
            for name, *counts in lines:
                if name in processors:
                    user, low, system, _, _, interrupts, soft, stolen = map(int, counts[:8])
                    # Processes of low priority give way to this one, unless it is one of them.
                    ticks += user + system + interrupts + soft + stolen + low * self._own_is_low
            return ticks / os.sysconf("SC_CLK_TCK"), time.process_time()
        except (OSError, ValueError, AttributeError):
            return 0.0, 0.0


FEATURES = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX512-VNNI (fast INT8)",
    "avx_vnni": "AVX-VNNI (fast INT8)",
    "avx512_bf16": "AVX512-BF16",
    "amx_int8": "AMX-INT8 (fastest INT8)",
    "asimd": "NEON",
    "asimddp": "dot product (fast INT8)",
    "i8mm": "I8MM (fastest INT8)",
    "asimdhp": "FP16",
    "bf16": "BF16",
}
"""Linux's name of an instruction set that matters here → its name for users."""


def cpu_flags() -> frozenset[str]:
    """The flags in ``/proc/cpuinfo``; empty where there is no such file."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    flags: set[str] = set()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            flags.update(value.split())
    return frozenset(flags)


def cpu_features() -> list[str]:
    """Names for users of the :data:`FEATURES` that this processor has."""
    flags = cpu_flags()
    return [shown for flag, shown in FEATURES.items() if flag in flags]


MAJOR, MINOR = 75, 76
"""``CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR`` and ``…_MINOR``."""


@dataclass(frozen=True)
class Gpu:
    """One GPU, as described by its driver."""

    name: str
    compute_capability: str
    """NVIDIA's version of the GPU's instructions, such as ``8.7``."""
    driver: str
    """The newest CUDA that the driver supports, for example ``12.6``."""

    def __str__(self) -> str:
        return f"{self.name} (compute {self.compute_capability}, driver for CUDA {self.driver})"


def find_gpu(device: int = 0) -> Gpu | None:
    """The GPU of a number; None if there is no driver or no such GPU."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    handle, version, major, minor = (ctypes.c_int() for _ in range(4))
    name = ctypes.create_string_buffer(128)
    calls = (
        (cuda.cuInit, 0),
        (cuda.cuDriverGetVersion, ctypes.byref(version)),
        (cuda.cuDeviceGet, ctypes.byref(handle), device),
        (cuda.cuDeviceGetName, name, len(name), handle),
        (cuda.cuDeviceGetAttribute, ctypes.byref(major), MAJOR, handle),
        (cuda.cuDeviceGetAttribute, ctypes.byref(minor), MINOR, handle),
    )
    if any(call(*arguments) for call, *arguments in calls):
        return None
    return Gpu(
        name.value.decode(errors="replace"),
        f"{major.value}.{minor.value}",
        f"{version.value // 1000}.{version.value % 1000 // 10}",
    )


def tensorrt_version() -> str | None:
    """Version of the TensorRT that a session would load, for example ``10.3.0``; None if none."""
    for major in (11, 10, 9, 8):
        try:
            library = ctypes.CDLL(f"libnvinfer.so.{major}")
        except OSError:
            continue
        number = int(library.getInferLibVersion())
        # The major version counts in thousands up to 9, in ten thousands since 10.
        unit = 10_000 if number >= 100_000 else 1_000
        return f"{number // unit}.{number % unit // 100}.{number % 100}"
    return None


def gpu_line() -> str | None:
    """The first GPU and the version of TensorRT, for users; None if there is no GPU."""
    gpu = find_gpu()
    return None if gpu is None else f"{gpu}, TensorRT {tensorrt_version() or 'not found'}"
