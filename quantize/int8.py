"""INT8: dynamic quantization of the matrix products, per output channel.

Weights are int8 with a scale for each output channel, activations uint8 with a scale found anew at
each call; those of convolutions have a fixed scale. Everything else stays in float32.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import onnx

from emotion2vec_edge.engine.bundle.manifest import GRAPHS
from emotion2vec_edge.engine.errors import ModelError, OptionError
from emotion2vec_edge.engine.runtime.session import import_onnxruntime

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
    graphs: Graphs, keep_float: Collection[str], heads: int, ranges: Mapping[str, Any]
) -> dict[str, onnx.ModelProto]:
    """Quantize both graphs of a model; the given ones are not changed.

    Args:
        graphs: fp32.
        keep_float: layers that stay in float32, as ``graph/name``.
        heads: attention heads of each block.
        ranges: for each graph with convolutions, the ranges of their values, as
            :func:`~.static.ranges_on_speech` finds them.

    Raises:
        OptionError: ``keep_float`` names a layer that does not exist.
        ModelError: a layer was not quantized, or not fused.
    """
    require_layers(keep_float, all_layers(graphs))
    quantized = {}
    for graph in GRAPHS:
        keep = [name.partition("/")[2] for name in keep_float if name.startswith(graph)]
        model = onnx.ModelProto()
        model.CopyFrom(graphs[graph])
        quantize_convolutions(model, keep, ranges.get(graph, {}))
        quantized[graph] = _quantize(model, keep, heads)
    return quantized


def _quantize(model: onnx.ModelProto, keep: list[str], heads: int) -> onnx.ModelProto:
    """Quantize the products of a graph, which may be changed."""
    names = layers(model)
    keep = [name for name in keep if name in names]
    if len(keep) < len(names):
        model = _quantize_dynamic(model, keep)
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


def _quantize_dynamic(model: onnx.ModelProto, keep: list[str]) -> onnx.ModelProto:
    import_onnxruntime()
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with onnxruntime_tool("quantize the graph"), tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "quantized.onnx")
        quantize_dynamic(
            model,
            target,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=keep,
            extra_options={"MatMulConstBOnly": True},
        )
        return onnx.load(target)
