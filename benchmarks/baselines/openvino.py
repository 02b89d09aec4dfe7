"""The plain graph in OpenVINO, quantized by nncf."""

from __future__ import annotations

from emotion2vec_edge.engine.audio.types import SAMPLE_RATE
from emotion2vec_edge.engine.results.pooling import clip_scores

from ..speech import sample_speech
from .plain_graph import normalized, plain_graph
from .settings import BaselineSettings, Run


def build(settings: BaselineSettings) -> Run:
    """Static W8A8, calibrated on pieces of the recordings of the package."""
    import nncf
    import openvino

    graph = openvino.Core().read_model(str(plain_graph(settings)))
    speech = sample_speech()
    pieces = [speech[i * 24_000 :][: (1 + i % 3) * SAMPLE_RATE] for i in range(8)]
    quantized = nncf.quantize(
        graph, nncf.Dataset(pieces, normalized), model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(pieces), preset=nncf.QuantizationPreset.MIXED,
    )  # fmt: skip
    properties = {"INFERENCE_NUM_THREADS": settings.threads, "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.Core().compile_model(quantized, "CPU", properties)
    request = compiled.create_infer_request()
    return lambda samples: clip_scores(request.infer([normalized(samples)])[0][0])
