"""The two small graphs around a bundle's own: the waveform normalised, and the frames pooled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from emotion2vec_edge.engine.bundle.head import Head
from emotion2vec_edge.engine.bundle.manifest import Manifest

if TYPE_CHECKING:
    import onnx

OPSET = 18
IR_VERSION = 8
EPSILON = 1e-5
"""Added to the variance of the waveform, as by FunASR."""


class _Builder:
    """Collects the nodes of a graph; each method returns the name of a result."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: Any, dtype: Any = np.int64) -> str:
        import onnx.numpy_helper

        name = f"constant_{len(self.constants)}"
        self.constants.append(onnx.numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        import onnx.helper

        name = output or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(onnx.helper.make_node(operator, inputs, [name], **attributes))
        return name

    def mask(self, values: str, axis: int, lengths: str) -> str:
        """True where an index along ``axis`` is below the row's length: bool [batch, size]."""
        shape = self.add("Shape", values)
        size = self.add("Gather", shape, self.constant(axis), axis=0)
        index = self.add("Range", self.constant(0), size, self.constant(1))
        return self.add("Less", index, self.add("Unsqueeze", lengths, self.constant([1])))

    def mean(self, values: str, axis: int, count: str, *, keep: bool) -> str:
        """The sum along an axis divided by ``count``."""
        total = self.add("ReduceSum", values, self.constant([axis]), keepdims=int(keep))
        return self.add("Div", total, count)

    def model(self, name: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> onnx.ModelProto:
        """The finished graph, checked."""
        import onnx

        graph = onnx.helper.make_graph(self.nodes, name, inputs, outputs, self.constants)
        model = onnx.helper.make_model(
            graph,
            opset_imports=[onnx.helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="emotion2vec-edge",
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def normalizer(manifest: Manifest) -> onnx.ModelProto:
    """The first graph.

    waveform float32 [batch, samples], lengths int64 [batch] in samples → ``normalized`` float32
    [batch, samples], with zeros past each length, and ``frame_counts`` int64 [batch].
    """
    from onnx import TensorProto
    from onnx.helper import make_tensor_value_info as value

    audio, build = manifest.audio, _Builder()
    zero = build.constant(0.0, np.float64)
    mask = build.mask("waveform", 1, "lengths")
    heard = build.add("Where", mask, build.add("Cast", "waveform", to=TensorProto.DOUBLE), zero)
    if audio.normalize:
        count = build.add("Cast", "lengths", to=TensorProto.DOUBLE)
        count = build.add("Unsqueeze", count, build.constant([1]))
        centred = build.add("Sub", heard, build.mean(heard, 1, count, keep=True))
        centred = build.add("Where", mask, centred, zero)
        variance = build.mean(build.add("Mul", centred, centred), 1, count, keep=True)
        scale = build.add("Sqrt", build.add("Add", variance, build.constant(EPSILON, np.float64)))
        heard = build.add("Div", centred, scale)
    build.add("Cast", heard, to=TensorProto.FLOAT, output="normalized")
    beyond = build.add("Sub", "lengths", build.constant(audio.receptive_field))
    hops = build.add("Div", beyond, build.constant(audio.hop))
    build.add("Add", hops, build.constant(1), output="frame_counts")
    return build.model(
        "normalize",
        [
            value("waveform", TensorProto.FLOAT, ["batch", "samples"]),
            value("lengths", TensorProto.INT64, ["batch"]),
        ],
        [
            value("normalized", TensorProto.FLOAT, ["batch", "samples"]),
            value("frame_counts", TensorProto.INT64, ["batch"]),
        ],
    )


def pooler(manifest: Manifest, head: Head) -> onnx.ModelProto:
    """The last graph.

    frames float32 [batch, frames, dim], frame logits if the graphs have a head of their own that is
    used, and lengths int64 [batch] in frames → ``embedding`` float32 [batch, dim] and, for a model
    with labels, ``scores`` float32 [batch, labels], with the head and the temperature applied.
    """
    from onnx import TensorProto
    from onnx.helper import make_tensor_value_info as value

    build, dim, labels = _Builder(), manifest.architecture.embed_dim, len(manifest.labels)
    inputs = [value("frames", TensorProto.FLOAT, ["batch", "frames", dim])]
    outputs = [value("embedding", TensorProto.FLOAT, ["batch", dim])]
    mask = build.add("Unsqueeze", build.mask("frames", 1, "lengths"), build.constant([2]))
    count = build.add("Cast", "lengths", to=TensorProto.FLOAT)
    count = build.add("Unsqueeze", count, build.constant([1]))
    zero = build.constant(0.0, np.float32)

    def pooled(values: str) -> str:
        return build.mean(build.add("Where", mask, values, zero), 1, count, keep=False)

    build.add("Identity", pooled("frames"), output="embedding")
    if labels:
        if head.weight is not None and head.bias is not None:
            weight = build.constant(head.weight, np.float32)
            bias = build.constant(head.bias, np.float32)
            logits = build.add("Gemm", "embedding", weight, bias, transB=1)
        else:
            inputs.append(value("logits", TensorProto.FLOAT, ["batch", "frames", labels]))
            logits = pooled("logits")
        scaled = build.add("Div", logits, build.constant(head.temperature, np.float32))
        build.add("Softmax", scaled, axis=1, output="scores")
        outputs.append(value("scores", TensorProto.FLOAT, ["batch", labels]))
    inputs.append(value("lengths", TensorProto.INT64, ["batch"]))
    return build.model("pool", inputs, outputs)
