"""The execution providers that the engine knows, one class each; a new one is added here."""

from __future__ import annotations

from .base import Provider
from .cpu import CpuProvider
from .cuda import CudaProvider
from .openvino import OpenVinoProvider
from .others import CoreMlProvider, XnnpackProvider
from .tensorrt import TensorRtProvider

TENSORRT, CUDA, CPU = TensorRtProvider(), CudaProvider(), CpuProvider()
OPENVINO = OpenVinoProvider()

LADDER: tuple[Provider, ...] = (TENSORRT, CUDA, CPU)
"""Providers that ``auto`` tries, in this order."""

PROVIDERS: tuple[Provider, ...] = (
    *LADDER,
    OPENVINO,
    CoreMlProvider(),
    XnnpackProvider(),
)
