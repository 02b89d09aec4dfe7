"""What the processor of this machine can do."""

from __future__ import annotations

import platform
from pathlib import Path

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
