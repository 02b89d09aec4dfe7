"""What TensorRT is told: which shapes its engines are for, and where they are kept.

An engine serves the shapes between the smallest and the largest of its profile, and is tuned for
one of them. ONNX Runtime's provider runs an engine's first profile only
(github.com/microsoft/onnxruntime/pull/31624), so each graph has one, over all buckets.
"""

from __future__ import annotations

from pathlib import Path

from ..bundle.bundle import Bundle
from ..bundle.manifest import GRAPHS
from ..settings import Precision
from .batched import BATCH_SECONDS, BUCKETS, block_samples
from .chunking import BLOCK_SECONDS

LONGEST = BUCKETS[-1]
"""Seconds; what is longer runs on CUDA."""

ROWS = BATCH_SECONDS // LONGEST
"""Clips at once."""

TUNED = 10
"""Seconds of the one clip that engines are fastest for."""


def profile_options(bundle: Bundle) -> dict[str, dict[str, str]]:
    """ONNX Runtime's options of each graph for its shapes: least, best and most."""
    audio = bundle.manifest.audio
    second = audio.frames(BLOCK_SECONDS)
    dim = bundle.manifest.architecture.embed_dim
    shapes = {
        name: {
            "frontend": f"waveform:{rows * seconds}x{block_samples(audio)}",
            "encoder": f"features:{rows}x{seconds * second}x{dim},lengths:{rows}",
        }
        for name, rows, seconds in (("min", 1, 1), ("opt", 1, TUNED), ("max", ROWS, LONGEST))
    }
    return {
        graph: {f"trt_profile_{name}_shapes": shape[graph] for name, shape in shapes.items()}
        for graph in GRAPHS
    }


def engine_options(folder: Path, precision: Precision) -> dict[str, str]:
    """ONNX Runtime's options for engines, and measured times of kernels, that are kept."""
    return {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(folder),
        # A graph in float16 is refused where TensorRT may not use that.
        "trt_fp16_enable": "1" if precision == "fp16" else "0",
    }
