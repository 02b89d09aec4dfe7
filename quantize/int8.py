"""INT8: dynamic quantization of the matrix products, per output channel.

Weights are int8 with a scale for each output channel, activations uint8 with a scale found anew at
each call; those of convolutions have a fixed scale. Everything else stays in float32.
"""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from emotion2vec_edge.engine.bundle.manifest import GRAPHS
from emotion2vec_edge.engine.errors import ModelError, OptionError
from emotion2vec_edge.engine.runtime.hardware import cpu_flags, sums_int8_exactly
from emotion2vec_edge.engine.runtime.session import import_onnxruntime

from .choices import Target
from .rewrites.convolution import quantize_convolutions
from .rewrites.graph import (
    Graphs,
    convolutions,
    fuse_attention,
    fuse_offline,
    layers,
    onnxruntime_tool,
    operators,
    quantize_before_moves,
)

QUANTIZED = ("DynamicQuantizeMatMul", "MatMulIntegerToFloat")
"""Operators that ONNX Runtime fuses a quantized product into."""

KEEP_FLOAT = ("frontend/convs.0",)
"""Layers that stay in float32 by default. The first one reads the raw waveform: eight bits are too
coarse for its ten samples a window, and it costs little."""


@dataclass(frozen=True)
class Int8Settings:
    """Settings of the quantization."""

    target: Target = "auto"
    """Instruction set of the processors that the variant is for."""
    keep_float: Collection[str] = KEEP_FLOAT
    """Layers that stay in float32, as ``graph/name``."""

    @property
    def reduce_range(self) -> bool:
        """True if weights get seven bits.

        Before VNNI, x86 adds two uint8 × int8 products in sixteen bits, which eight-bit weights
        can overflow.
        """
        return self.resolved in ("avx2", "avx512")

    @property
    def resolved(self) -> Target:
        """The target; for ``auto`` that of this machine."""
        if self.target != "auto":
            return self.target
        if platform.machine() in ("aarch64", "arm64"):
            return "arm64"
        if sums_int8_exactly():
            return "avx512_vnni"
        return "avx512" if "avx512f" in cpu_flags() else "avx2"


def all_layers(graphs: Graphs) -> list[str]:
    """All layers that can be quantized, as ``graph/name``: products and convolutions."""
    return [
        f"{graph}/{name}"
        for graph in GRAPHS
        for name in (*layers(graphs[graph]), *convolutions(graphs[graph]))
    ]


def require_layers(named: Collection[str], layers: Collection[str]) -> None:
    """Check that layers exist.

    Raises:
        OptionError: some do not.
    """
    if unknown := sorted(set(named) - set(layers)):
        raise OptionError(f"no layer {', '.join(unknown)}; choose from {', '.join(layers)}")


def quantize_graphs(
    graphs: Graphs, settings: Int8Settings, heads: int, ranges: Mapping[str, Any]
) -> dict[str, onnx.ModelProto]:
    """Quantize both graphs of a model; the given ones are not changed.

    Args:
        graphs: fp32.
        settings: target, and layers that stay in float.
        heads: attention heads of each block.
        ranges: for each graph with convolutions, the ranges of their values, as
            :func:`~.static.ranges_on_speech` finds them.

    Raises:
        OptionError: ``keep_float`` names a layer that does not exist.
        ModelError: a layer was not quantized, or not fused.
    """
    require_layers(settings.keep_float, all_layers(graphs))
    quantized = {}
    for graph in GRAPHS:
        keep = [name.partition("/")[2] for name in settings.keep_float if name.startswith(graph)]
        model = onnx.ModelProto()
        model.CopyFrom(graphs[graph])
        largest = 63 if settings.reduce_range else 127
        quantize_convolutions(model, keep, ranges.get(graph, {}), largest)
        quantized[graph] = _quantize(model, keep, settings.reduce_range, heads)
    return quantized


def _quantize(
    model: onnx.ModelProto, keep: list[str], reduce_range: bool, heads: int
) -> onnx.ModelProto:
    """Quantize the products of a graph, which may be changed."""
    names = layers(model)
    keep = [name for name in keep if name in names]
    if len(keep) < len(names):
        model = _quantize_dynamic(model, keep, reduce_range)
    fuse_attention(model, heads)
    quantize_before_moves(model)
    model = fuse_offline(model)
    found = operators(model)
    done = sum(found.get(operator, 0) for operator in QUANTIZED)
    if done != len(names) - len(keep) or "MatMulInteger" in found:
        raise ModelError(
            f"{len(names) - len(keep)} products should be quantized and fused, not {found}"
        )
    return model


def _quantize_dynamic(
    model: onnx.ModelProto, keep: list[str], reduce_range: bool
) -> onnx.ModelProto:
    import_onnxruntime()
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with onnxruntime_tool("quantize the graph"), tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "quantized.onnx")
        quantize_dynamic(
            model,
            target,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=reduce_range,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=keep,
            extra_options={"MatMulConstBOnly": True},
        )
        return onnx.load(target)
