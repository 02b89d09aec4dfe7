"""FP16 for GPUs: half the bytes, with float32 where float16 overflows or loses too much."""

from __future__ import annotations

import onnx

from emotion2vec_edge.engine.runtime.session import import_onnxruntime

from .rewrites.graph import Graph, Graphs, onnxruntime_tool

FLOAT32_OPERATORS = ("LayerNormalization", "Softmax", "Range", "Cast", "Pad")
"""Sums of a thousand values, exponentials, and positions, which float16 counts up to 2048 only."""


def convert_graphs(graphs: Graphs) -> dict[str, onnx.ModelProto]:
    """Both graphs of a model in float16; inputs and outputs stay float32.

    Raises:
        ModelError: a graph cannot be converted.
    """
    return {name: _convert(graph) for name, graph in graphs.items()}


def _convert(source: onnx.ModelProto) -> onnx.ModelProto:
    import_onnxruntime()
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = onnx.ModelProto()
    model.CopyFrom(source)
    for index, node in enumerate(model.graph.node):  # nodes stay in float32 by their names
        node.name = node.name or f"node_{index}"
    with onnxruntime_tool("convert the graph"):
        converted: onnx.ModelProto = convert_float_to_float16(
            model,
            keep_io_types=True,
            op_block_list=list(FLOAT32_OPERATORS),
            node_block_list=sorted(_alibi_nodes(model)),
        )
    _drop_detours(converted)
    return converted


def _drop_detours(model: onnx.ModelProto) -> None:
    """Remove casts that the converter adds in vain.

    It casts the result of every float32 node to float16, also where only float32 nodes read it,
    which then cast it back. Positions lose their exactness on the way, and a cast on the GPU
    between two nodes on the processor keeps CUDA from recording the graph. Before ONNX Runtime
    1.32 it also adds the same cast once for each reader, which makes the graph invalid.
    """
    rounded = {
        node.output[0]: node.input[0]
        for node in model.graph.node
        if (node.op_type == "Cast" and node.name.endswith("_cast_to_fp16_node"))
        or (node.name.startswith("graph_input_cast") and not node.name.endswith("_fp32_node"))
    }
    seen: set[str] = set()
    exact: dict[str, str] = {}
    kept = []
    for node in model.graph.node:
        name = node.output[0]
        if name in seen:
            continue
        seen.add(name)
        if node.name.endswith("_cast_to_fp32_node") and node.input[0] in rounded:
            exact[name] = rounded[node.input[0]]
        else:
            kept.append(node)
    for node in kept:
        node.input[:] = [exact.get(name, name) for name in node.input]
    used = {name for node in kept for name in node.input}
    used.update(output.name for output in model.graph.output)
    kept = [node for node in kept if node.output[0] in used or node.output[0] not in rounded]
    del model.graph.node[:]
    model.graph.node.extend(kept)


def _alibi_nodes(model: onnx.ModelProto) -> set[str]:
    """Names of the nodes that compute the attention bias: those that depend on lengths alone."""
    graph = Graph(model)
    features = {model.graph.input[0].name}
    for node in model.graph.node:  # everything that depends on the features
        if features.intersection(node.input) and node.op_type != "Shape":
            features.update(node.output)
    return {
        node.name
        for node in graph.nodes
        if not features.intersection(node.output) and node.op_type != "Constant"
    }
