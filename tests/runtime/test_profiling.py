"""Which provider computes what, as ONNX Runtime's profile says it."""

from collections import Counter

from emotion2vec_edge.engine.recognizer import opening_of
from emotion2vec_edge.engine.runtime.profiling import Placement, placements
from emotion2vec_edge.engine.runtime.providers import CPU, CUDA


def test_what_runs_where_is_seen_in_the_profile(recognizer):
    frontend, encoder = placements(opening_of(recognizer))
    assert (frontend.graph, encoder.graph) == ("frontend", "encoder")
    assert not frontend.elsewhere
    assert encoder.nodes[CPU.ort_name]["LayerNormalization"] > 3
    assert str(encoder).endswith("operators on CPUExecutionProvider")


def test_operators_that_were_left_to_the_processor_are_named():
    nodes = {CUDA.ort_name: Counter(MatMul=30), CPU.ort_name: Counter(Gather=2, Shape=1)}
    placement = Placement("encoder", nodes, CUDA.ort_name)
    assert str(placement) == (
        "encoder: 30 operators on CUDAExecutionProvider, 3 elsewhere: Gather × 2, Shape × 1"
    )
