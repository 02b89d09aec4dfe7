"""Smoothing: channels of an activation are made alike before it is rounded to eight bits.

An activation has one scale, which its largest channel sets, and small channels are then rounded
coarsely. So each channel is divided by a factor, and the weights that read it are multiplied by it
(SmoothQuant, Xiao et al. 2022): the product is the same, and weights have a scale for each output
channel, which suffers less.

Only products that read a LayerNorm are smoothed. Its channels are busy in every frame, so that a
few minutes of speech show how large they get. Those behind GELU rest most of the time, and factors
from some speech made other speech worse.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from emotion2vec_edge.engine.bundle.manifest import GRAPHS
from emotion2vec_edge.engine.runtime.sequential import SequentialModel
from emotion2vec_edge.engine.runtime.session import import_onnxruntime

from ..calibration import Clip
from .graph import Graph, Graphs, layer_nodes, onnxruntime_tool, remove_unused

Feeds: TypeAlias = Mapping[str, NDArray[Any]]
"""Inputs of one run of a graph, by name."""

STRENGTH = 0.65
"""Part of a channel's size that is moved into the weights, as an exponent."""
LEAST = 0.03
"""Smallest size of a channel that counts, against the largest one."""


def feeds_on_speech(model: SequentialModel, clips: Iterable[Clip]) -> dict[str, list[Feeds]]:
    """Inputs of both graphs for some speech.

    Args:
        model: the fp32 variant, opened.
        clips: the speech.
    """
    feeds: dict[str, list[Feeds]] = {name: [] for name in GRAPHS}
    for clip in clips:
        waveform = model.waveform(clip.samples)
        features = model.local(waveform)
        lengths = np.array([len(features)], np.int64)
        feeds["frontend"].append({"waveform": waveform[None]})
        feeds["encoder"].append({"features": features[None], "lengths": lengths})
    return feeds


@dataclass(frozen=True)
class Smoothing:
    """The fp32 graphs of a model, and how large the channels get that are to be made alike."""

    graphs: Graphs
    sizes: Mapping[str, NDArray[np.float32]]
    """Layer, as ``graph/name`` → largest absolute value of each channel that it reads."""

    @classmethod
    def on_speech(cls, graphs: Graphs, feeds: Mapping[str, Iterable[Feeds]]) -> Smoothing:
        """Find the sizes.

        Args:
            graphs: fp32; they are not changed.
            feeds: inputs for each graph, from speech.

        Raises:
            ModelError: ONNX Runtime cannot run a graph for it.
        """
        sizes: dict[str, NDArray[np.float32]] = {}
        for name, graph in graphs.items():
            read = _normalized(graph)
            found = _largest(graph, sorted(set(read.values())), feeds[name])
            sizes |= {f"{name}/{layer}": found[value] for layer, value in read.items()}
        return cls(graphs, sizes)

    def smoothed(self, keep_float: Collection[str] = ()) -> dict[str, onnx.ModelProto]:
        """Graphs of the same function, with their channels alike.

        Args:
            keep_float: layers that are not rounded, and stay as they are, as ``graph/name``.
        """
        smoothed = {}
        for name, graph in self.graphs.items():
            smoothed[name] = onnx.ModelProto()
            smoothed[name].CopyFrom(graph)
            for node in layer_nodes(smoothed[name]):
                layer = f"{name}/{node.name}"
                if layer in self.sizes and layer not in keep_float:
                    _smooth(smoothed[name].graph, node, self.sizes[layer])
            remove_unused(smoothed[name])
        return smoothed


def _smooth(graph: onnx.GraphProto, node: onnx.NodeProto, sizes: NDArray[np.float32]) -> None:
    """Let a product read its channels divided, and its weights multiplied, by their factors."""
    (tensor,) = (tensor for tensor in graph.initializer if tensor.name == node.input[1])
    weight = numpy_helper.to_array(tensor)
    factors = _factors(sizes, weight)
    divisor, divided, matrix = (f"{node.name}.{part}" for part in ("divisor", "divided", "matrix"))
    graph.initializer.append(numpy_helper.from_array(1 / factors, divisor))
    graph.initializer.append(numpy_helper.from_array(weight * factors[:, None], matrix))
    divide = helper.make_node("Mul", [node.input[0], divisor], [divided], f"{node.name}.divide")
    graph.node.insert(list(graph.node).index(node), divide)
    node.input[:] = [divided, matrix]


def _normalized(model: onnx.ModelProto) -> dict[str, str]:
    """Layers that read a LayerNorm directly → the value that they read."""
    graph = Graph(model)
    return {
        node.name: node.input[0]
        for node in layer_nodes(model)
        if graph.source(node.input[0]) == "LayerNormalization"
    }


def _largest(
    model: onnx.ModelProto, values: list[str], feeds: Iterable[Feeds]
) -> dict[str, NDArray[np.float32]]:
    """Values of a graph → their largest absolute values: float32 [channels]."""
    if not values:
        return {}
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    given = {output.name for output in watched.graph.output}
    watched.graph.output.extend(
        helper.make_empty_tensor_value_info(value) for value in values if value not in given
    )
    ort = import_onnxruntime()
    with onnxruntime_tool("run the graph on speech"):
        session = ort.InferenceSession(
            watched.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        largest = [
            [np.abs(found).max(axis=(0, 1)) for found in session.run(values, feed)]
            for feed in feeds
        ]
    return {value: np.max(runs, axis=0) for value, *runs in zip(values, *largest, strict=True)}


def _factors(sizes: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """The factor of each channel; their geometric mean is 1.

    Args:
        sizes: largest absolute value of each channel, [channels].
        weight: [channels, outputs].
    """
    weights = np.abs(weight).max(axis=1)
    activations, weights = (
        np.maximum(values, LEAST * values.max() or 1.0) for values in (sizes, weights)
    )
    logarithms = STRENGTH * np.log(activations) - (1 - STRENGTH) * np.log(weights)
    factors: NDArray[np.float32] = np.exp(logarithms - logarithms.mean()).astype(np.float32)
    return factors
