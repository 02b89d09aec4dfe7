"""The plain graph in ONNX Runtime with default settings."""

from __future__ import annotations

from pathlib import Path

from emotion2vec_edge.engine.results.pooling import clip_scores
from emotion2vec_edge.engine.runtime.session import import_onnxruntime

from .plain_graph import normalized, plain_graph
from .settings import BaselineSettings, Run


def build(settings: BaselineSettings) -> Run:
    """The plain graph in float32."""
    return _run_graph(plain_graph(settings), settings)


def build_naive_int8(settings: BaselineSettings) -> Run:
    """The plain graph after ``quantize_dynamic``."""
    import_onnxruntime()
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = settings.folder / "naive_int8.onnx"
    quantize_dynamic(
        plain_graph(settings), path, op_types_to_quantize=["MatMul"],
        weight_type=QuantType.QInt8, extra_options={"MatMulConstBOnly": True},
    )  # fmt: skip
    return _run_graph(path, settings)


def _run_graph(path: Path, settings: BaselineSettings) -> Run:
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.threads
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    return lambda samples: clip_scores(session.run(None, {"waveform": normalized(samples)})[0][0])
