"""TensorRT with a simulated ONNX Runtime: its engines, and when they are taken."""

import json
import shutil
import sys
from pathlib import Path

import onnx
import pytest
from quantized import add, fp32_alone

from emotion2vec_edge.engine import Recognizer, open_bundle
from emotion2vec_edge.engine.bundle import integrity, locate
from emotion2vec_edge.engine.errors import OptionError, ProviderError
from emotion2vec_edge.engine.recognizer import opening_of
from emotion2vec_edge.engine.runtime import prepared
from emotion2vec_edge.engine.runtime.batched import BatchedModel
from emotion2vec_edge.engine.runtime.hardware import Gpu
from emotion2vec_edge.engine.runtime.model import FallbackModel
from emotion2vec_edge.engine.runtime.providers import CPU, CUDA, TENSORRT, tensorrt
from emotion2vec_edge.quantize.variants import NewVariant


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("E2V_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def fake_gpu(fake_ort, monkeypatch):
    """An ONNX Runtime with TensorRT and CUDA, that writes engines where there are none."""

    def write_engine(created):
        if "trt_engine_cache_path" in created.own:
            folder = Path(created.own["trt_engine_cache_path"])
            (folder / f"{Path(created.graph).stem}.engine").write_bytes(b"engine")
            (folder / f"{Path(created.graph).stem}.timing").write_bytes(b"times")

    monkeypatch.setattr(tensorrt, "find_gpu", lambda _number: Gpu("Orin", "8.7", "12.6"))
    monkeypatch.setattr(tensorrt, "tensorrt_version", lambda: "10.3.0")
    monkeypatch.setattr(BatchedModel, "encode", lambda _self, _samples: None)
    available = [TENSORRT.ort_name, CUDA.ort_name, CPU.ort_name]
    return fake_ort(available, on_create=write_engine)


def with_int8_static(folder, target):
    """A bundle with a variant said to be static INT8 for a runtime; its graphs are those of fp32."""
    bundle = open_bundle(fp32_alone(folder))
    graphs = {name: onnx.load(path) for name, path in bundle.graphs("fp32").items()}
    add(folder, NewVariant("int8-static", graphs, (target,), {}, {}))
    return folder


def served_by(created):
    return [one.names[0] for one in created]


def engines():
    return TENSORRT.entry(opening_of(Recognizer.load(provider="cuda")).selected, CONFIG).find()


CONFIG = opening_of(Recognizer.load(provider="cpu")).config


def test_without_engines_it_is_refused_and_auto_takes_cuda(fake_gpu):
    with pytest.raises(ProviderError, match="no engines are built yet.*e2v warmup"):
        Recognizer.load(provider="tensorrt")
    chosen = Recognizer.load()
    assert chosen.provider == "cuda"
    assert "e2v warmup --provider tensorrt" in chosen.skipped[0]
    assert set(served_by(fake_gpu)) == {CUDA.ort_name}


def test_engines_are_built_once_with_their_shapes_and_caches(fake_gpu, cache, embedding_shape):
    (dim,) = embedding_shape
    Recognizer.load(provider="tensorrt", prepare=True)
    frontend, encoder = fake_gpu[:2]
    assert frontend.own["trt_profile_min_shapes"] == "waveform:1x16080"
    assert frontend.own["trt_profile_opt_shapes"] == "waveform:10x16080"
    assert frontend.own["trt_profile_max_shapes"] == "waveform:120x16080"
    assert encoder.own["trt_profile_min_shapes"] == f"features:1x50x{dim},lengths:1"
    assert encoder.own["trt_profile_opt_shapes"] == f"features:1x500x{dim},lengths:1"
    assert encoder.own["trt_profile_max_shapes"] == f"features:4x1500x{dim},lengths:4"
    for created in (frontend, encoder):
        assert created.names == [TENSORRT.ort_name, CUDA.ort_name, CPU.ort_name]
        assert created.own["trt_layer_norm_fp32_fallback"] == "1"
        assert created.own["trt_engine_cache_enable"] == "1"
        assert created.own["trt_timing_cache_enable"] == "1"
        assert Path(created.own["trt_engine_cache_path"]).is_relative_to(cache / "prepared")
        assert created.own["trt_fp16_enable"] == "0"  # the embedded model has no float16
    fake_gpu.clear()
    assert Recognizer.load().provider == "tensorrt"
    folder = str(engines())
    for created, built in zip(fake_gpu, (frontend, encoder), strict=False):
        caches = {"trt_engine_cache_path": folder, "trt_timing_cache_path": folder}
        assert created.own == built.own | caches
    fake_gpu.clear()
    Recognizer.load(provider="tensorrt", prepare=True)
    assert len(fake_gpu) == 2  # opened, not built


@pytest.mark.parametrize("change", ["gpu", "tensorrt", "onnxruntime", "model", "option"])
def test_engines_of_something_else_are_not_taken(fake_gpu, monkeypatch, tmp_path, change):
    Recognizer.load(provider="tensorrt", prepare=True)
    model, options = None, {}
    if change == "gpu":
        monkeypatch.setattr(tensorrt, "find_gpu", lambda _number: Gpu("Orin", "8.7", "12.8"))
    elif change == "tensorrt":
        monkeypatch.setattr(tensorrt, "tensorrt_version", lambda: "10.7.0")
    elif change == "onnxruntime":
        sys.modules["onnxruntime"].__version__ = "2.0"
    elif change == "option":
        options = {"trt_builder_optimization_level": "5"}
    else:
        model = tmp_path / "other"
        shutil.copytree(locate.EMBEDDED / locate.DEFAULT_NAME, model)
        for graph in ("frontend", "encoder"):
            with (model / "fp32" / f"{graph}.onnx").open("ab") as file:
                file.write(b"\x32\x00")  # an empty domain: the same graph in other bytes
        document = json.loads((model / "bundle.json").read_text())
        document["variants"]["fp32"]["files"] = [
            {"path": file.path, "bytes": file.bytes, "sha256": file.sha256}
            for file in integrity.variant_files(model, "fp32")
        ]
        (model / "bundle.json").write_text(json.dumps(document))
    with pytest.raises(ProviderError, match="no engines are built yet"):
        Recognizer.load(model, provider="tensorrt", provider_options=options)


def test_options_that_engines_do_not_depend_on_do_not_undo_them(fake_gpu):
    Recognizer.load(provider="tensorrt", prepare=True)
    options = {"user_compute_stream": 94_000_000, "gpu_mem_limit": 2**31}
    chosen = Recognizer.load(provider="tensorrt", provider_options=options)
    assert chosen.provider == "tensorrt"
    assert fake_gpu[-1].own["user_compute_stream"] == "94000000"


def test_a_timing_cache_may_grow_and_an_engine_may_not(fake_gpu):
    Recognizer.load(provider="tensorrt", prepare=True)
    (engines() / "encoder.timing").write_bytes(b"more times")
    assert Recognizer.load().provider == "tensorrt"
    (engines() / "encoder.engine").write_bytes(b"another")
    assert Recognizer.load().provider == "cuda"


def test_chunks_beyond_the_engines_get_sessions_on_cuda(fake_gpu):
    Recognizer.load(provider="tensorrt", prepare=True)
    fake_gpu.clear()
    model = Recognizer.load(provider="tensorrt", chunk_seconds=60).encoder
    assert served_by(fake_gpu) == [TENSORRT.ort_name] * 2 + [CUDA.ort_name] * 2
    assert not [key for key in fake_gpu[-1].own if key.startswith("trt_")]
    assert isinstance(model, FallbackModel)
    assert (model.primary.most, model.beyond.most, model.longest) == (4, None, 30)
    assert "CUDA" in model.remark(40)
    assert model.remark(30) is None
    model = Recognizer.load(provider="tensorrt").encoder
    assert isinstance(model, BatchedModel)


def test_a_build_that_was_stopped_is_continued(fake_gpu, monkeypatch, cache):
    def stopped(_self, _content):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(prepared.PreparedEntry, "_seal", stopped)
        with pytest.raises(KeyboardInterrupt):
            Recognizer.load(provider="tensorrt", prepare=True)
    with pytest.raises(ProviderError, match="no engines"):
        Recognizer.load(provider="tensorrt")

    def stopped_earlier(_self, _samples):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(BatchedModel, "encode", stopped_earlier)
        with pytest.raises(KeyboardInterrupt):
            Recognizer.load(provider="tensorrt", prepare=True)
    (unfinished,) = (cache / "prepared").rglob("unfinished")
    (unfinished / "measured.timing").write_bytes(b"times")
    Recognizer.load(provider="tensorrt", prepare=True)
    assert (engines() / "measured.timing").read_bytes() == b"times"
    assert [path.name for path in unfinished.parent.iterdir() if path.is_dir()] == [engines().name]


def test_static_int8_that_was_made_for_it(fake_gpu, tmp_path):
    folder = with_int8_static(tmp_path / "model", "tensorrt")
    chosen = Recognizer.load(folder, provider="tensorrt", precision="int8-static", prepare=True)
    assert (chosen.provider, chosen.precision) == ("tensorrt", "int8-static")
    for created in fake_gpu[:2]:
        assert created.own["trt_int8_enable"] == "1"
        assert created.own["trt_fp16_enable"] == "0"  # the gate heard float32 between the products
    fake_gpu.clear()
    assert Recognizer.load(folder, provider="tensorrt", prepare=True).precision == "fp32"
    assert fake_gpu[0].own["trt_int8_enable"] == "0"


def test_static_int8_that_was_made_for_openvino(fake_gpu, tmp_path):
    folder = with_int8_static(tmp_path / "model", "openvino")
    command = f"e2v quantize {folder} --precision int8-static --target tensorrt"
    with pytest.raises(ProviderError, match="unsigned.*signed ones around zero") as refused:
        Recognizer.load(folder, provider="tensorrt", precision="int8-static", prepare=True)
    assert command in str(refused.value)
    assert not fake_gpu


def test_dynamic_int8_is_refused(fake_gpu):
    with pytest.raises(ProviderError, match="tensorrt: int8 does not run there"):
        Recognizer.load(provider="tensorrt", precision="int8", prepare=True)
    assert not fake_gpu


def test_a_gpu_that_is_no_number(fake_gpu):
    with pytest.raises(OptionError, match="device_id is 'first'"):
        Recognizer.load(provider="tensorrt", provider_options={"device_id": "first"})
