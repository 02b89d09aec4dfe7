"""Static INT8: quantized and dequantized at fixed scales, for OpenVINO or TensorRT.

Weights are int8 with a scale for each output channel. Activations have one scale, found once on
speech. The graph holds pairs of QuantizeLinear and DequantizeLinear in float32 (QDQ) and standard
operators alone; a provider that knows them computes in eight bits between them.

For OpenVINO activations are uint8. TensorRT refuses every zero point but 0
(github.com/NVIDIA/TensorRT/issues/2774), so for it they are int8, which rounds more coarsely what
is mostly of one sign. It also wants

- weights in float32 with a pair of their own (github.com/microsoft/onnxruntime/issues/11535),
- one reader of each pair (github.com/huggingface/optimum/pull/812), and
- no quantized convolution over one axis, for which it may find no kernel
  (github.com/NVIDIA/TensorRT/issues/1768): those stay in float32.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from emotion2vec_edge.engine.bundle.manifest import GRAPHS
from emotion2vec_edge.engine.runtime.session import import_onnxruntime

from .choices import StaticTarget
from .int8 import all_layers
from .rewrites.graph import (
    Graphs,
    layers,
    onnxruntime_tool,
    quantize_before_moves,
    read_exact_values,
)
from .rewrites.smoothing import Feeds, Smoothing

OPERATORS = ["MatMul", "Conv"]
"""Operators that are quantized, where their weights are constant."""

CALIBRATION_CLIPS = 32
"""Clips that the scales are found on: more change the largest values hardly."""


@dataclass(frozen=True)
class StaticQuantizer:
    """Both fp32 graphs of a model, and the ranges of their values on speech.

    The ranges are found once; any layers can then be quantized by them.
    """

    smoothing: Smoothing
    target: StaticTarget
    ranges: Mapping[str, Any]
    """Graph → smallest and largest value of each of its values, as ONNX Runtime keeps them."""

    @classmethod
    def on_speech(
        cls, smoothing: Smoothing, target: StaticTarget, feeds: Mapping[str, list[Feeds]]
    ) -> StaticQuantizer:
        """Find the ranges.

        Args:
            smoothing: the fp32 graphs, and the factors to smooth them by.
            target: runtime to quantize for.
            feeds: inputs for each graph, from speech.

        Raises:
            ModelError: ONNX Runtime cannot run a graph for it.
        """
        ranges = ranges_on_speech(smoothing.smoothed(), feeds, OPERATORS)
        return cls(smoothing, target, ranges)

    @property
    def layers(self) -> list[str]:
        """Layers that can be quantized, as :func:`static_layers` names them."""
        return static_layers(self.smoothing.graphs, self.target)

    @property
    def activations(self) -> str:
        """Type of the quantized activations."""
        return "int8" if self.target == "tensorrt" else "uint8"

    def quantized(self, keep_float: Collection[str]) -> dict[str, onnx.ModelProto]:
        """Both graphs, quantized.

        Args:
            keep_float: layers that stay in float32, as ``graph/name``.

        Raises:
            ModelError: ONNX Runtime cannot quantize a graph.
        """
        every, graphs = self.layers, self.smoothing.smoothed(keep_float)
        quantized = {}
        for name in GRAPHS:
            chosen = [
                layer.partition("/")[2]
                for layer in every
                if layer.startswith(f"{name}/") and layer not in keep_float
            ]
            model = graphs[name]
            if chosen:
                model = _quantize(model, chosen, self.ranges[name], self.target)
                if self.target == "tensorrt":  # moves quantization itself
                    read_exact_values(model, chosen)
                else:
                    quantize_before_moves(model)
            quantized[name] = model
        return quantized


def static_layers(graphs: Graphs, target: StaticTarget) -> list[str]:
    """Layers that can be quantized for a runtime, as ``graph/name``."""
    if target == "openvino":
        return all_layers(graphs)
    return [f"{graph}/{name}" for graph in GRAPHS for name in layers(graphs[graph])]


def ranges_on_speech(
    graphs: Graphs, feeds: Mapping[str, list[Feeds]], operators: list[str]
) -> dict[str, Any]:
    """Smallest and largest value of the inputs and outputs of some operators.

    Args:
        graphs: fp32.
        feeds: inputs for each graph, from speech.
        operators: their kinds.

    Returns:
        for each graph with such operators, the ranges as ONNX Runtime keeps them.

    Raises:
        ModelError: ONNX Runtime cannot run a graph for it.
    """
    return {
        name: _ranges(graph, feeds[name], operators)
        for name, graph in graphs.items()
        if any(node.op_type in operators for node in graph.graph.node)
    }


def _ranges(model: onnx.ModelProto, feeds: list[Feeds], operators: list[str]) -> Any:
    import_onnxruntime()
    from onnxruntime.quantization.calibrate import (
        CalibrationDataReader,
        CalibrationMethod,
        create_calibrator,
    )

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """Gives the inputs one after the other."""

        def __init__(self) -> None:
            self._feeds: Iterator[Feeds] = iter(feeds)

        def get_next(self) -> Feeds | None:
            return next(self._feeds, None)

    with onnxruntime_tool("run the graph on speech"), tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source.onnx")
        onnx.save_model(model, source)
        calibrator = create_calibrator(
            source,
            operators,
            augmented_model_path=str(Path(folder, "augmented.onnx")),
            calibrate_method=CalibrationMethod.MinMax,
        )
        calibrator.collect_data(Reader())
        return calibrator.compute_data()


def _quantize(
    model: onnx.ModelProto, nodes: list[str], ranges: Any, target: StaticTarget
) -> onnx.ModelProto:
    import_onnxruntime()
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
    from onnxruntime.quantization.quant_utils import (
        QuantType,
        save_and_reload_model_with_shape_infer,
    )

    for_tensorrt = target == "tensorrt"
    with onnxruntime_tool("quantize the graph"):
        quantizer = QDQQuantizer(
            save_and_reload_model_with_shape_infer(model),
            per_channel=True,
            reduce_range=False,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QInt8 if for_tensorrt else QuantType.QUInt8,
            tensors_range=ranges,
            nodes_to_quantize=nodes,
            nodes_to_exclude=[],
            op_types_to_quantize=OPERATORS,
            extra_options={
                # Sums stay in float32: to round them too loses accuracy and gains nothing.
                "OpTypesToExcludeOutputQuantization": OPERATORS,
                "ActivationSymmetric": for_tensorrt,
                "AddQDQPairToWeight": for_tensorrt,
            },
        )
        quantizer.quantize_model()
        quantizer.model.topological_sort()
        quantized: onnx.ModelProto = quantizer.model.model
        return quantized
