"""Convolutions in eight bits, with fixed scales, for the INT8 variant.

ONNX Runtime's dynamic convolution (ConvInteger) takes three times as long as that in float32, and
QLinearConv 0.4 to 0.8 times. That one rounds its output too, and so needs scales that are known
before: those of the smallest and largest value on speech.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper

from .graph import convolutions


def quantize_convolutions(
    model: onnx.ModelProto, keep: Collection[str], ranges: Mapping[str, Any]
) -> None:
    """Replace convolutions by QLinearConv between QuantizeLinear and DequantizeLinear.

    Args:
        model: the graph, which is changed.
        keep: names of those that stay in float.
        ranges: smallest and largest value of each input and output, as ONNX Runtime keeps them.
    """
    chosen = {name for name in convolutions(model) if name not in keep}
    weights = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        if node.name not in chosen:
            nodes.append(node)
            continue
        constants, replaced = _quantized(node, weights, ranges)
        nodes.extend(replaced)
        model.graph.initializer.extend(
            numpy_helper.from_array(value, name) for name, value in constants.items()
        )
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _quantized(
    node: NodeProto,
    weights: Mapping[str, NDArray[Any]],
    ranges: Mapping[str, Any],
) -> tuple[dict[str, NDArray[Any]], list[NodeProto]]:
    """The constants and the nodes in place of one convolution."""
    name, weight = node.name, weights[node.input[1]]
    bias = weights[node.input[2]] if len(node.input) > 2 else np.zeros(len(weight), np.float32)
    scales = np.abs(weight).max(axis=tuple(range(1, weight.ndim))) / 127
    scales = np.where(scales > 0, scales, 1).astype(np.float32)
    rounded = np.round(weight / scales.reshape(-1, *[1] * (weight.ndim - 1)))
    (scale_in, zero_in), (scale_out, zero_out) = (
        _scale(*ranges[value].range_value) for value in (node.input[0], node.output[0])
    )
    constants = {
        f"{name}.weight_quantized": rounded.astype(np.int8),
        f"{name}.weight_scale": scales,
        f"{name}.weight_zero": np.zeros(len(weight), np.int8),
        f"{name}.bias_quantized": np.round(bias / (scales * scale_in)).astype(np.int32),
        f"{name}.input_scale": scale_in,
        f"{name}.input_zero": zero_in,
        f"{name}.output_scale": scale_out,
        f"{name}.output_zero": zero_out,
    }
    taken = [f"{name}.input_scale", f"{name}.input_zero"]
    given = [f"{name}.output_scale", f"{name}.output_zero"]
    middle = [f"{name}.weight_quantized", f"{name}.weight_scale", f"{name}.weight_zero"]
    eight_in, eight_out = f"{name}.input_quantized", f"{name}.output_quantized"
    convolution = helper.make_node(
        "QLinearConv",
        [eight_in, *taken, *middle, *given, f"{name}.bias_quantized"],
        [eight_out],
        name,
    )
    convolution.attribute.extend(node.attribute)
    return constants, [
        helper.make_node("QuantizeLinear", [node.input[0], *taken], [eight_in], f"{name}.quantize"),
        convolution,
        helper.make_node(
            "DequantizeLinear", [eight_out, *given], node.output, f"{name}.dequantize"
        ),
    ]


def _scale(lowest: Any, highest: Any) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Scale and zero point of uint8 for values between two bounds; zero itself is exact."""
    low, high = min(0.0, np.min(lowest).item()), max(0.0, np.max(highest).item())
    scale = (high - low) / 255 or 1.0
    return np.array(scale, np.float32), np.array(round(-low / scale), np.uint8)
