"""On a machine with an NVIDIA GPU: that CUDA and TensorRT compute what the processor computes.

Skipped, loudly, everywhere else. TensorRT's engines take minutes to build.
"""

import numpy as np
import onnxruntime
import pytest

from emotion2vec_edge.engine import Recognizer, example_recordings
from emotion2vec_edge.engine.errors import ProviderError
from emotion2vec_edge.engine.recognizer import opening_of
from emotion2vec_edge.engine.runtime.opening import provider_named
from emotion2vec_edge.engine.runtime.profiling import placements
from emotion2vec_edge.engine.runtime.providers import CUDA, TENSORRT

pytestmark = pytest.mark.skipif(
    CUDA.ort_name not in onnxruntime.get_available_providers(),
    reason="SKIPPED LOUDLY: this build of ONNX Runtime has no CUDA",
)


@pytest.fixture(scope="module")
def fp16_bundle(small_bundle):
    from emotion2vec_edge.quantize.calibration import load_calibration
    from emotion2vec_edge.quantize.quantizer import add_fp16

    add_fp16(small_bundle, load_calibration(None))
    return small_bundle


@pytest.fixture(scope="module")
def int8_static_bundle(small_bundle):
    from emotion2vec_edge.quantize.calibration import load_calibration
    from emotion2vec_edge.quantize.gate import Limits
    from emotion2vec_edge.quantize.quantizer import add_int8_static

    # One clip of 64 that changes its emotion is 1.6 % of them.
    limits = Limits(agreement=0.9)
    add_int8_static(small_bundle, load_calibration(None), limits=limits, target="tensorrt")
    return small_bundle


@pytest.fixture(params=["cuda", "tensorrt"])
def on_gpu(request, fp16_bundle):
    tier = provider_named(request.param)
    if tier.ort_name not in onnxruntime.get_available_providers():
        pytest.skip(f"SKIPPED LOUDLY: this build of ONNX Runtime has no {tier.ort_name}")
    try:
        return Recognizer.load(fp16_bundle, provider=request.param, prepare=True)
    except ProviderError as error:
        pytest.skip(f"SKIPPED LOUDLY: {error}")


def test_fp16_gives_the_probabilities_of_fp32(on_gpu, fp16_bundle):
    assert on_gpu.precision == "fp16"
    exact = Recognizer.load(fp16_bundle, provider="cpu", precision="fp32")
    for path in example_recordings():
        scores = on_gpu.recognize(path).scores
        assert scores == pytest.approx(exact.recognize(path).scores, abs=0.01)


def test_static_int8_on_tensorrt_gives_what_the_processor_gives(int8_static_bundle):
    if TENSORRT.ort_name not in onnxruntime.get_available_providers():
        pytest.skip(f"SKIPPED LOUDLY: this build of ONNX Runtime has no {TENSORRT.ort_name}")
    chosen = {"model": int8_static_bundle, "precision": "int8-static"}
    try:
        ours = Recognizer.load(**chosen, provider="tensorrt", prepare=True)
    except ProviderError as error:
        if TENSORRT.missing_library(onnxruntime):
            pytest.skip(f"SKIPPED LOUDLY: {error}")
        raise
    expected = Recognizer.load(**chosen, provider="cpu")
    for path in example_recordings():
        scores = ours.recognize(path).scores
        assert scores == pytest.approx(expected.recognize(path).scores, abs=0.02)


def test_static_int8_is_refused_by_cuda(int8_static_bundle):
    with pytest.raises(ProviderError, match="cuda: int8-static is for openvino and tensorrt"):
        Recognizer.load(int8_static_bundle, provider="cuda", precision="int8-static")


def test_real_speech_of_all_corpora(on_gpu, fp16_bundle, test_clips):
    exact = Recognizer.load(fp16_bundle, provider="cpu", precision="fp32")
    for path in test_clips:
        scores = on_gpu.recognize(path).scores
        assert scores == pytest.approx(exact.recognize(path).scores, abs=0.01)


def test_a_batch_gives_what_each_gives_alone(on_gpu):
    paths = example_recordings() * 3
    for encoding, path in zip(on_gpu.encode_many(paths), paths, strict=True):
        alone = on_gpu.recognize(path).scores
        assert encoding.utterance().scores == pytest.approx(alone, abs=0.01)


def test_the_products_run_on_the_gpu(on_gpu):
    for placement in placements(opening_of(on_gpu)):
        assert not {"MatMul", "Conv", "Softmax", "LayerNormalization"} & set(placement.elsewhere)


def test_cuda_graphs_change_nothing(fp16_bundle):
    plain = Recognizer.load(fp16_bundle, provider="cuda")
    recorded = Recognizer.load(
        fp16_bundle, provider="cuda", provider_options={"enable_cuda_graph": 1}
    )
    path = example_recordings()[0]
    expected = plain.encode(path).logits
    for _ in range(3):  # recorded at the first, replayed from then on
        np.testing.assert_allclose(recorded.encode(path).logits, expected, atol=1e-3)
