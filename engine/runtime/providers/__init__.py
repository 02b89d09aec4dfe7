"""The execution providers that the engine knows, one class each; a new one is added here."""

from __future__ import annotations

from .base import Provider
from .cpu import CpuProvider
from .cuda import CudaProvider
from .others import CoreMlProvider, OpenVinoProvider, XnnpackProvider
from .tensorrt import TensorRtProvider

TENSORRT, CUDA, CPU = TensorRtProvider(), CudaProvider(), CpuProvider()

LADDER: tuple[Provider, ...] = (TENSORRT, CUDA, CPU)
"""Providers that ``auto`` tries, in this order."""

PROVIDERS: tuple[Provider, ...] = (
    *LADDER,
    OpenVinoProvider(),
    CoreMlProvider(),
    XnnpackProvider(),
)
