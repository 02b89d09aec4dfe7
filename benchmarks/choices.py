"""Closed choices of the benchmarks, in a module that imports nothing heavy."""

from __future__ import annotations

from typing import Literal

BatchedBaseline = Literal["torch-sdpa", "torch-compile"]
"""Baselines that take batches and run on the engine's GPU if it uses one."""

BaselineName = Literal[
    "torch", "torch-int8", BatchedBaseline, "funasr", "ort", "ort-naive-int8", "openvino"
]
"""Other software that runs the same checkpoint."""

Part = Literal["memory", "chunks", "batch", "stream", "kill"]
"""Parts of the measurement of recordings."""

Shape = Literal["plus_large", "base"]
"""Sizes of a model with random weights."""
