"""Static INT8: quantized and dequantized at fixed scales, for OpenVINO.

Weights are int8 with a scale for each output channel. Activations are uint8 with one scale, found
once on speech. The graph holds pairs of QuantizeLinear and DequantizeLinear in float32 (QDQ) and
standard operators alone; a provider that knows them computes in eight bits between them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray

from emotion2vec_edge.engine.bundle.manifest import GRAPHS
from emotion2vec_edge.engine.runtime.sequential import SequentialModel
from emotion2vec_edge.engine.runtime.session import import_onnxruntime

from .calibration import Clip
from .graph import Graphs, convolutions, layers, onnxruntime_tool, quantize_before_moves

Feeds: TypeAlias = Mapping[str, NDArray[Any]]
"""Inputs of one run of a graph, by name."""

OPERATORS = ["MatMul", "Conv"]
"""Operators that are quantized, where their weights are constant."""

CALIBRATION_CLIPS = 32
"""Clips that the scales are found on: more change the largest values hardly."""


def static_layers(graphs: Graphs) -> list[str]:
    """All layers that can be quantized, as ``graph/name``: products and convolutions."""
    return [
        f"{graph}/{name}"
        for graph in GRAPHS
        for name in (*layers(graphs[graph]), *convolutions(graphs[graph]))
    ]


@dataclass(frozen=True)
class StaticQuantizer:
    """Both fp32 graphs of a model, and the ranges of their values on speech.

    The ranges are found once; any layers can then be quantized by them.
    """

    graphs: Graphs
    ranges: Mapping[str, Any]
    """Graph → smallest and largest value of each of its values, as ONNX Runtime keeps them."""

    @classmethod
    def on_speech(
        cls, graphs: Graphs, model: SequentialModel, clips: Iterable[Clip]
    ) -> StaticQuantizer:
        """Find the ranges.

        Args:
            graphs: fp32; they are not changed.
            model: the same, opened.
            clips: the speech.

        Raises:
            ModelError: ONNX Runtime cannot run a graph for it.
        """
        feeds: dict[str, list[Feeds]] = {name: [] for name in GRAPHS}
        for clip in clips:
            waveform = model.waveform(clip.samples)
            features = model.local(waveform)
            lengths = np.array([len(features)], np.int64)
            feeds["frontend"].append({"waveform": waveform[None]})
            feeds["encoder"].append({"features": features[None], "lengths": lengths})
        return cls(graphs, {name: _ranges(graphs[name], feeds[name]) for name in GRAPHS})

    def quantized(self, keep_float: Collection[str]) -> dict[str, onnx.ModelProto]:
        """Both graphs, quantized.

        Args:
            keep_float: layers that stay in float32, as ``graph/name``.

        Raises:
            ModelError: ONNX Runtime cannot quantize a graph.
        """
        every = static_layers(self.graphs)
        quantized = {}
        for name in GRAPHS:
            chosen = [
                layer.partition("/")[2]
                for layer in every
                if layer.startswith(f"{name}/") and layer not in keep_float
            ]
            model = onnx.ModelProto()
            model.CopyFrom(self.graphs[name])
            if chosen:
                model = _quantize(model, chosen, self.ranges[name])
                quantize_before_moves(model)
            quantized[name] = model
        return quantized


def _ranges(model: onnx.ModelProto, feeds: list[Feeds]) -> Any:
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
            OPERATORS,
            augmented_model_path=str(Path(folder, "augmented.onnx")),
            calibrate_method=CalibrationMethod.MinMax,
        )
        calibrator.collect_data(Reader())
        return calibrator.compute_data()


def _quantize(model: onnx.ModelProto, nodes: list[str], ranges: Any) -> onnx.ModelProto:
    import_onnxruntime()
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
    from onnxruntime.quantization.quant_utils import (
        QuantType,
        save_and_reload_model_with_shape_infer,
    )

    with onnxruntime_tool("quantize the graph"):
        quantizer = QDQQuantizer(
            save_and_reload_model_with_shape_infer(model),
            per_channel=True,
            reduce_range=False,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8,
            tensors_range=ranges,
            nodes_to_quantize=nodes,
            nodes_to_exclude=[],
            op_types_to_quantize=OPERATORS,
            # Sums stay in float32: to round them too loses accuracy and gains nothing.
            extra_options={"OpTypesToExcludeOutputQuantization": OPERATORS},
        )
        quantizer.quantize_model()
        quantizer.model.topological_sort()
        quantized: onnx.ModelProto = quantizer.model.model
        return quantized
