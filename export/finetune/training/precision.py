"""The arithmetic that a training runs in."""

from __future__ import annotations

import time

import numpy as np
import torch


def bfloat16_is_faster() -> bool:
    """Whether this processor multiplies bfloat16 faster than float32.

    Measured: one may have the instructions and still be slower with them.
    """

    def seconds(dtype: torch.dtype) -> float:
        a, b = torch.randn(2048, 256).to(dtype), torch.randn(256, 768).to(dtype)
        times = []
        for _ in range(12):
            started = time.perf_counter()
            a @ b
            times.append(time.perf_counter() - started)
        return float(np.median(times))

    return seconds(torch.bfloat16) < 0.8 * seconds(torch.float32)
