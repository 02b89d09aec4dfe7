"""FP16 for GPUs: half the bytes, with float32 kept where float16 overflows or loses too much."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16

from .graph import Graph

FLOAT32_OPERATORS = ("LayerNormalization", "Softmax", "Range", "Cast", "Pad")
"""Sums of a thousand values, exponentials, and positions beyond 2048, too large to count."""


def convert_graphs(graphs: Mapping[str, onnx.ModelProto]) -> dict[str, onnx.ModelProto]:
    """Both graphs of a model in float16; inputs and outputs stay float32."""
    return {name: _convert(graph) for name, graph in graphs.items()}


def _convert(source: onnx.ModelProto) -> onnx.ModelProto:
    model = onnx.ModelProto()
    model.CopyFrom(source)
    for index, node in enumerate(model.graph.node):  # nodes are kept in float32 by their names
        node.name = node.name or f"node_{index}"
    converted: onnx.ModelProto = convert_float_to_float16(
        model,
        keep_io_types=True,
        op_block_list=list(FLOAT32_OPERATORS),
        node_block_list=sorted(_alibi_nodes(model)),
    )
    return converted


def _alibi_nodes(model: onnx.ModelProto) -> set[str]:
    """Names of the nodes that make the attention bias: what is computed from lengths alone."""
    graph = Graph(model)
    features = {model.graph.input[0].name}
    for node in model.graph.node:  # everything that the features flow into
        if features.intersection(node.input) and node.op_type != "Shape":
            features.update(node.output)
    return {
        node.name
        for node in graph.nodes
        if not features.intersection(node.output) and node.op_type != "Constant"
    }
