"""CUDA with a simulated ONNX Runtime: its options, its libraries, its memory."""

import sys

import pytest

from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.engine.errors import BundleFormatError, OptionError, ProviderError
from emotion2vec_edge.engine.runtime.providers import CPU, CUDA
from emotion2vec_edge.engine.runtime.session import SessionConfig

BOTH = [CUDA.ort_name, CPU.ort_name]


def test_options_of_ours_and_of_the_user_reach_the_session(fake_ort):
    created = fake_ort(BOTH)
    CUDA.open_session(b"", SessionConfig(2, {"device_id": "1"}))
    assert created[0].names == BOTH
    assert created[0].own["cudnn_conv_algo_search"] == "HEURISTIC"
    assert created[0].own["device_id"] == "1"
    CUDA.open_session(b"", SessionConfig(2, {"cudnn_conv_algo_search": "DEFAULT"}))
    assert created[1].own["cudnn_conv_algo_search"] == "DEFAULT"


def test_an_option_that_there_is_not_is_an_error_of_the_provider():
    with pytest.raises((ProviderError, BundleFormatError)):
        Recognizer.load(provider="cuda", provider_options={"no_such_option": 1})


@pytest.mark.parametrize("number", ["first", "-1", "1.5", "", "٣"])
def test_a_gpu_that_is_no_number(fake_ort, number):
    fake_ort(BOTH)
    with pytest.raises(OptionError, match=f"device_id is '{number}'"):
        Recognizer.load(provider="cuda", provider_options={"device_id": number})


@pytest.mark.parametrize("value", ["1", "true"])
def test_recorded_graphs_are_an_option(fake_ort, value):
    fake_ort(BOTH)
    options = {"enable_cuda_graph": value, "device_id": 1}
    model = Recognizer.load(provider="cuda", provider_options=options).encoder
    assert (model.memory.name, model.memory.number) == ("cuda", 1)
    assert model.records
    assert model.batch_size > 1
    assert not Recognizer.load(provider="cuda").encoder.records


def test_libraries_of_nvidias_wheels_are_loaded_for_its_providers_only(fake_ort):
    fake_ort(BOTH)
    loaded = []
    module = sys.modules["onnxruntime"]
    module.preload_dlls = lambda: loaded.append(1)
    CPU.open_session(b"", SessionConfig(1))
    assert loaded == []
    CUDA.open_session(b"", SessionConfig(1))
    assert loaded == [1]

    def broken():
        raise OSError("libcudart.so.12: cannot open shared object file")

    module.preload_dlls = broken  # whether it was needed is seen at the session
    CUDA.open_session(b"", SessionConfig(1))


def test_the_missing_library_is_named(fake_ort, tmp_path):
    fake_ort(BOTH, serving=[CPU.ort_name])
    sys.modules["onnxruntime"].__file__ = str(tmp_path / "__init__.py")
    with pytest.raises(ProviderError, match=r"providers_cuda\.so is not part of this build"):
        CUDA.open_session(b"", SessionConfig(1))
    (tmp_path / "capi").mkdir()
    (tmp_path / "capi" / "libonnxruntime_providers_cuda.so").write_bytes(b"\x7fELF nothing more")
    with pytest.raises(ProviderError, match=r"fell back.*providers_cuda\.so.*pip uninstall"):
        CUDA.open_session(b"", SessionConfig(1))
