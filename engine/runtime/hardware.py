"""The processor and the GPU of this machine."""

from __future__ import annotations

import ctypes
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from ..errors import OptionError


def pinned_processors(threads: int) -> str:
    """Which processor each thread of a session but the caller's stays on, as ONNX Runtime wants it.

    Linux wakes a thread on the processor of the one that wakes it, and may take a tick of its clock
    (4 ms) to move it on: after half a second of rest a clip of 3 s took 24 ms instead of 11. Where
    a session uses all processors there is one for each thread; where it uses fewer, the
    scheduler knows better than we which of them are free.
    """
    if not hasattr(os, "sched_getaffinity"):
        return ""
    processors = sorted(os.sched_getaffinity(0))
    if threads != len(processors):
        return ""
    return ";".join(str(processor + 1) for processor in processors[1:])  # counted from 1


def usable_threads() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def checked_threads(threads: int | None) -> int:
    """The number of threads to use; None means all that this process may use."""
    if threads is None:
        return usable_threads()
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= 1024:
        raise OptionError(f"threads is {threads!r}; give 1 to 1024")
    return threads


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
"""Linux's names of the instruction sets that matter here, and what to call them."""


def cpu_flags() -> frozenset[str]:
    """The flags in ``/proc/cpuinfo``; empty where nothing tells."""
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


def sums_int8_exactly() -> bool:
    """Whether products of eight-bit numbers are summed without overflow.

    x86 before VNNI adds two uint8 × int8 products in sixteen bits, and eight-bit weights overflow.
    """
    if platform.machine() not in ("x86_64", "AMD64"):
        return True
    return bool(cpu_flags() & {"avx512_vnni", "avx_vnni"})


def cpu_features() -> list[str]:
    """What this processor has of :data:`FEATURES`, for reading."""
    flags = cpu_flags()
    return [shown for flag, shown in FEATURES.items() if flag in flags]


MAJOR, MINOR = 75, 76
"""``CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR`` and ``…_MINOR``."""


@dataclass(frozen=True)
class Gpu:
    """One GPU, as the driver knows it."""

    name: str
    compute_capability: str
    """Such as ``8.7``."""
    driver: str
    """The newest CUDA that the driver serves, such as ``12.6``."""

    def __str__(self) -> str:
        return f"{self.name} (compute {self.compute_capability}, driver for CUDA {self.driver})"


def find_gpu(device: int = 0) -> Gpu | None:
    """The GPU of a number; None where there is no driver, or no such GPU."""
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
    """The TensorRT that a session would find, such as ``10.3.0``; None where there is none."""
    for major in (11, 10, 9, 8):
        try:
            library = ctypes.CDLL(f"libnvinfer.so.{major}")
        except OSError:
            continue
        number = int(library.getInferLibVersion())
        # Up to 9 a thousand for the major version, since 10 ten thousand.
        unit = 10_000 if number >= 100_000 else 1_000
        return f"{number // unit}.{number % unit // 100}.{number % 100}"
    return None


def gpu_line() -> str | None:
    """The first GPU and the TensorRT that goes with it, for people; None where there is no GPU."""
    gpu = find_gpu()
    return None if gpu is None else f"{gpu}, TensorRT {tensorrt_version() or 'not found'}"
