"""Rewrites of an ONNX graph that keep its function: fused attention, quantization before gathering.

ONNX Runtime's own fusions are applied here too, once, so that loading is quick and old versions
need no fusion that they lack.
"""

from __future__ import annotations

import logging
import tempfile
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import NodeProto, TensorProto, helper, numpy_helper

from emotion2vec_edge.engine.errors import ModelError
from emotion2vec_edge.engine.runtime.session import import_onnxruntime

Graphs: TypeAlias = Mapping[str, onnx.ModelProto]
"""``frontend`` and ``encoder`` of one variant."""

CONTRIB = "com.microsoft"
"""Domain of the operators that ONNX Runtime adds to the standard."""

QUANTIZING = ("DynamicQuantizeLinear", "QuantizeLinear")

MOVES = ("Concat", "Reshape", "Slice")
"""Operators that only move values, so that they commute with quantization."""


@contextmanager
def onnxruntime_tool(task: str) -> Iterator[None]:
    """Turn a failure of ONNX Runtime's own tools in the block into a ModelError.

    Args:
        task: the work that they then could not do, for the message.
    """
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # they advise a pre-processing that the graph has had
    try:
        yield
    except Exception as error:  # their exceptions have no common base but Exception
        raise ModelError(f"onnxruntime cannot {task}: {error!r}"[:500]) from error
    finally:
        logger.setLevel(level)


def load_graph(path: Path) -> onnx.ModelProto:
    """Read an ONNX file; weights that are stored in 16 bits become those of 32 that they stand for.

    Raises:
        ModelError: it cannot be read or is not a valid graph.
    """
    try:
        model = onnx.load(path)
        onnx.checker.check_model(path)
    except (DecodeError, onnx.checker.ValidationError, OSError, ValueError) as error:
        detail = str(error).partition("\n")[0]
        raise ModelError(f"{path}: not a valid ONNX graph: {detail}") from None
    _widen(model.graph)
    return model


def _widen(graph: onnx.GraphProto) -> None:
    """Replace each weight of float16 that only a cast to float32 reads by what the cast gives."""
    readers = Counter(name for node in graph.node for name in node.input)
    halved = {
        tensor.name: tensor
        for tensor in graph.initializer
        if tensor.data_type == TensorProto.FLOAT16 and readers[tensor.name] == 1
    }
    for node in list(graph.node):
        if node.op_type == "Cast" and node.input[0] in halved:
            (to,) = (attribute.i for attribute in node.attribute if attribute.name == "to")
            if to == TensorProto.FLOAT:
                tensor = halved[node.input[0]]
                values = numpy_helper.to_array(tensor).astype(np.float32)
                tensor.CopyFrom(numpy_helper.from_array(values, node.output[0]))
                graph.node.remove(node)


class Graph:
    """A model with its nodes indexed by what they read and write."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.nodes = model.graph.node
        self.constants = {tensor.name for tensor in model.graph.initializer}
        self.producer = {output: node for node in self.nodes for output in node.output}
        self.consumers: dict[str, list[NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for name in node.input:
                self.consumers[name].append(node)

    def source(self, name: str) -> str:
        """Operator that produces a value; empty for inputs and constants."""
        return self.producer[name].op_type if name in self.producer else ""


def layers(model: onnx.ModelProto) -> list[str]:
    """Names of the MatMuls with a constant weight, in order: those that INT8 can quantize."""
    return [node.name for node in layer_nodes(model)]


def layer_nodes(model: onnx.ModelProto) -> list[NodeProto]:
    """The MatMuls that :func:`layers` names."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return [
        node for node in model.graph.node if node.op_type == "MatMul" and node.input[1] in constants
    ]


def convolutions(model: onnx.ModelProto) -> list[str]:
    """Names of the convolutions, in order."""
    return [node.name for node in model.graph.node if node.op_type == "Conv"]


def operators(model: onnx.ModelProto) -> dict[str, int]:
    """Number of nodes of each operator."""
    return dict(sorted(Counter(node.op_type for node in model.graph.node).items()))


def fuse_attention(model: onnx.ModelProto, heads: int) -> int:
    """Replace each softmax(q kᵀ + bias) v by one MultiHeadAttention.

    Returns:
        the number of fused attentions; those of another form stay unchanged.
    """
    graph = Graph(model)
    fused = 0
    for softmax in [node for node in graph.nodes if node.op_type == "Softmax"]:
        match = _attention_around(graph, softmax)
        if match is None:
            continue
        query, key, value, bias, last = match
        attention = helper.make_node(
            "MultiHeadAttention",
            [query, key, value, "", "", bias],
            [last.output[0]],
            name=f"attention.{fused}",
            domain=CONTRIB,
            num_heads=heads,
        )
        position = list(graph.nodes).index(last)
        graph.nodes.remove(last)
        graph.nodes.insert(position, attention)
        fused += 1
    if fused:
        _declare(model, CONTRIB)
        remove_unused(model)
    return fused


def _attention_around(
    graph: Graph, softmax: NodeProto
) -> tuple[str, str, str, str, NodeProto] | None:
    """Query, key and value [batch, tokens, dim], bias [batch, heads, …], and the last node."""
    add = graph.producer.get(softmax.input[0])
    if add is None or add.op_type != "Add":
        return None
    scores, bias = add.input
    if graph.source(scores) != "MatMul":
        scores, bias = bias, scores
    product = graph.producer.get(scores)
    followers = graph.consumers[softmax.output[0]]
    if product is None or product.op_type != "MatMul" or len(followers) != 1:
        return None
    weighted = followers[0]
    parts = [_before_heads(graph, name) for name in (*product.input, weighted.input[1])]
    chain = [weighted]
    for expected in ("MatMul", "Transpose", "Reshape"):
        if chain[-1].op_type != expected:
            return None
        if expected != "Reshape":
            after = graph.consumers[chain[-1].output[0]]
            if len(after) != 1:
                return None
            chain.append(after[0])
    # A bias without a heads axis (no ALiBi) would be read as another shape.
    if None in parts or graph.source(bias) != "Add":
        return None
    query, key, value = parts
    return str(query), str(key), str(value), bias, chain[-1]


def _before_heads(graph: Graph, name: str) -> str | None:
    """Follow q, k or v back over scaling and transposing to where it was cut from qkv."""
    while name in graph.producer:
        node = graph.producer[name]
        if node.op_type == "Split":
            return name
        if node.op_type not in ("Mul", "Transpose", "Reshape"):
            return None
        name = node.input[0]
    return None


def quantize_before_moves(model: onnx.ModelProto) -> int:
    """Quantize before windows are gathered, so that uint8 is gathered instead of floats.

    ``x → moves → DynamicQuantizeLinear`` becomes ``x → DynamicQuantizeLinear → moves``: a quarter
    of the bytes are moved, and each sample is rounded once instead of once a window. So it is for
    QuantizeLinear, whose scale is fixed.

    Returns:
        the number of quantizations that moved.
    """
    graph = Graph(model)
    moved = 0
    for node in [n for n in graph.nodes if n.op_type in QUANTIZING]:
        path, root = _moves_above(graph, node.input[0])
        if not path:
            continue
        inputs, outputs = [root, *node.input[1:]], [f"{node.output[0]}_of_root", *node.output[1:]]
        position = list(graph.nodes).index(node)
        graph.nodes.remove(node)
        rename = {root: outputs[0]}
        new = [helper.make_node(node.op_type, inputs, outputs, name=node.name)]
        for move in path:
            copy = NodeProto()
            copy.CopyFrom(move)
            copy.name = f"{move.name}_uint8"
            for i, name in enumerate(copy.input):
                copy.input[i] = rename.get(name, name)
            rename[move.output[0]] = f"{move.output[0]}_uint8"
            copy.output[0] = rename[move.output[0]]
            new.append(copy)
        new[-1].output[0] = node.output[0]
        for offset, added in enumerate(new):
            graph.nodes.insert(position + offset, added)
        moved += 1
    if moved:
        remove_unused(model)
    return moved


def _moves_above(graph: Graph, name: str) -> tuple[list[NodeProto], str]:
    """The moves between a value and the single value that it is gathered from, in order."""
    path: list[NodeProto] = []
    seen: set[str] = set()

    def visit(value: str) -> set[str]:
        node = graph.producer.get(value)
        if node is None or node.op_type not in MOVES:
            return {value}
        data = node.input if node.op_type == "Concat" else node.input[:1]
        roots = set().union(*(visit(item) for item in data))
        if value not in seen:
            seen.add(value)
            path.append(node)
        return roots

    roots = visit(name)
    # Windows of several values cannot be quantized at one root.
    return (path, roots.pop()) if len(roots) == 1 else ([], name)


def read_exact_values(model: onnx.ModelProto, nodes: Collection[str]) -> None:
    """Let only some nodes read values that were quantized, and all others as they were before.

    ONNX Runtime's tool gives the rounded values to every reader of a value, and as the output of
    the graph.

    Args:
        model: a graph with pairs of QuantizeLinear and DequantizeLinear; it is changed.
        nodes: names of the nodes that read the rounded values.
    """
    producer, readers = Graph(model).producer, set(nodes)
    outputs = {output.name for output in model.graph.output}
    for last in [n for n in model.graph.node if n.op_type == "DequantizeLinear"]:
        exact, rounded = producer[last.input[0]].input[0], last.output[0]
        if rounded in outputs:  # the tool gave the exact values another name
            _rename(model.graph.node, {exact: rounded, rounded: exact})
            exact, rounded = rounded, exact
        keep = readers | {last.name}
        others = [node for node in model.graph.node if node.name not in keep]
        _rename(others, {rounded: exact})


def _rename(nodes: Iterable[NodeProto], names: Mapping[str, str]) -> None:
    """Rename values that nodes read and write."""
    for node in nodes:
        for values in (node.input, node.output):
            values[:] = [names.get(value, value) for value in values]


def fuse_offline(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph after ONNX Runtime's optimizations up to its extended level.

    Raises:
        ModelError: ONNX Runtime cannot load the graph.
    """
    ort = import_onnxruntime()
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 4
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "source.onnx"), Path(folder, "fused.onnx")
        onnx.save_model(model, source)
        options.optimized_model_filepath = str(target)
        try:
            ort.InferenceSession(
                str(source),
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=["SkipLayerNormFusion"],
            )
        except Exception as error:  # its exceptions have no common base but Exception
            raise ModelError(f"onnxruntime {ort.__version__} refuses the graph: {error}") from error
        fused = onnx.load(target)
    used = {node.domain for node in fused.graph.node}
    for opset in list(fused.opset_import):
        if (
            opset.domain not in used and opset.domain
        ):  # ONNX Runtime declares every domain that it knows
            fused.opset_import.remove(opset)
    fused.ir_version = model.ir_version
    del fused.graph.value_info[:]
    return fused


def remove_unused(model: onnx.ModelProto) -> None:
    """Remove nodes and constants whose values are not used."""
    outputs = {output.name for output in model.graph.output}
    while True:
        used = {name for node in model.graph.node for name in node.input} | outputs
        dead = [node for node in model.graph.node if not used.intersection(node.output)]
        if not dead:
            break
        for node in dead:
            model.graph.node.remove(node)
    for tensor in [t for t in model.graph.initializer if t.name not in used]:
        model.graph.initializer.remove(tensor)


def _declare(model: onnx.ModelProto, domain: str) -> None:
    if domain not in {opset.domain for opset in model.opset_import}:
        model.opset_import.append(helper.make_opsetid(domain, 1))
