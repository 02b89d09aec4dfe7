"""The closed choices of the quantization."""

from __future__ import annotations

from typing import Literal, get_args

Quantized = Literal["int8", "fp16", "int8-static"]
"""Precision of a variant that is made from fp32."""

StaticTarget = Literal["openvino", "tensorrt"]
"""Runtime that int8-static is made for."""

QUANTIZED: tuple[Quantized, ...] = get_args(Quantized)
STATIC_TARGETS: tuple[StaticTarget, ...] = get_args(StaticTarget)
