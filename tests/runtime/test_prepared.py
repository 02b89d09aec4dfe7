"""What is made ready ahead: packed graphs on the CPU, engines on TensorRT, and when they are taken."""

import json
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from emotion2vec_edge.engine import Recognizer, open_bundle
from emotion2vec_edge.engine.bundle import integrity, locate
from emotion2vec_edge.engine.errors import OptionError, OutputError, ProviderError
from emotion2vec_edge.engine.runtime import prepared, session
from emotion2vec_edge.engine.runtime.hardware import Gpu
from emotion2vec_edge.engine.runtime.prepared import entry_of, make_ready
from emotion2vec_edge.engine.runtime.providers import CPU, CUDA, TENSORRT
from emotion2vec_edge.engine.runtime.session import SessionConfig

ORIN = Gpu("Orin", "8.7", "12.6")


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("E2V_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def noise(rng):
    return rng.standard_normal(32_000).astype(np.float32)


@pytest.fixture
def opened(monkeypatch):
    """How each session was opened."""
    runnings = []
    real = session.open_session

    def spy(graph, provider, running):
        runnings.append(running)
        return real(graph, provider, running)

    monkeypatch.setattr("emotion2vec_edge.engine.runtime.model.open_session", spy)
    return runnings


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_packed_graphs_give_the_same_to_the_bit(noise, opened, precision):
    plain = Recognizer.load(precision=precision).encode(noise, 16_000, frames=True)
    Recognizer.load(precision=precision, prepare=True)
    opened.clear()
    packed = Recognizer.load(precision=precision)
    assert [running.packed for running in opened] == [True, True]
    encoding = packed.encode(noise, 16_000, frames=True)
    np.testing.assert_array_equal(encoding.frames, plain.frames)
    np.testing.assert_array_equal(encoding.logits, plain.logits)


def test_nothing_is_written_that_nobody_asked_for(cache):
    Recognizer.load()
    assert not (cache / "prepared").exists()


def test_what_is_ready_is_not_made_again(opened):
    Recognizer.load(prepare=True)
    opened.clear()
    Recognizer.load(prepare=True)
    assert [running.pack_into for running in opened] == [None, None]


@pytest.mark.parametrize("what", ["version", "processor"])
def test_another_version_or_processor_takes_the_bundle(monkeypatch, opened, what):
    Recognizer.load(prepare=True)
    if what == "version":
        monkeypatch.setattr(onnxruntime, "__version__", "9.9")
    else:
        monkeypatch.setattr(prepared, "cpu_flags", lambda: frozenset({"avx2"}))
    opened.clear()
    Recognizer.load()
    assert [running.packed for running in opened] == [False, False]


def place():
    model = open_bundle()
    return entry_of(model, Recognizer.load().precision, CPU, SessionConfig(1))


def change_size(folder):
    with (folder / "encoder.data").open("ab") as file:
        file.write(b"x")


def spoil(folder):
    """The size and the time stay, the content is gone."""
    path = folder / "encoder.onnx"
    status = path.stat()
    path.write_bytes(b"\xff" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def forget(folder):
    (folder / "ready.json").unlink()


def garble(folder):
    (folder / "ready.json").write_text("[1, 2")


@pytest.mark.parametrize("damage", [change_size, spoil, forget, garble])
def test_a_damaged_cache_costs_time_and_nothing_else(noise, damage):
    expected = Recognizer.load(prepare=True).recognize(noise, 16_000).scores
    damage(place().folder)
    assert Recognizer.load().recognize(noise, 16_000).scores == expected
    if damage is not spoil:  # which only its maker could notice
        Recognizer.load(prepare=True)
        assert place().ready


def test_what_gives_other_answers_is_not_kept(monkeypatch):
    real = prepared.Model.encode
    calls = []

    def other(self, samples):
        calls.append(1)
        frames, logits = real(self, samples)
        return frames + len(calls), logits

    monkeypatch.setattr(prepared.Model, "encode", other)
    model = open_bundle()
    with pytest.raises(ProviderError, match=r"other answers.*MiB are free"):
        make_ready(model, "int8", CPU, SessionConfig(1))
    here = entry_of(model, "int8", CPU, SessionConfig(1))
    assert not here.folder.exists()


def test_a_cache_that_cannot_be_written(cache):
    cache.write_text("a file")
    with pytest.raises(OutputError, match="cache"):
        Recognizer.load(prepare=True)
    Recognizer.load()


def test_a_file_that_may_not_grow(cache):
    """As on a full disk: what was begun is taken away, and the bundle serves."""
    program = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20));"
        "from emotion2vec_edge.engine.cli import main; main()"
    )

    def e2v(*arguments):
        return subprocess.run(
            [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
        )

    done = e2v("warmup")
    assert done.returncode == 1, done.stderr
    told, error = done.stderr.splitlines()
    assert told == "e2v: preparing"
    assert error.count("prepared") == 1
    assert error.endswith("MiB are free there)")
    assert not [path for path in (cache / "prepared").rglob("*") if path.is_file()]
    assert e2v("recognize", "--examples").returncode == 0


def test_the_command_says_what_it_did(cache):
    command = [sys.executable, "-m", "emotion2vec_edge.engine.cli", "warmup"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert str(cache / "prepared") in done.stdout
    assert "1 s of audio: first" in done.stdout


@pytest.fixture
def fake_gpu(monkeypatch):
    """An ONNX Runtime with TensorRT and CUDA, whose sessions do nothing but be there."""
    created = []

    class Session:
        def __init__(self, graph, options, providers, disabled_optimizers=None):
            names = [p if isinstance(p, str) else p[0] for p in providers]
            own = {} if isinstance(providers[0], str) else providers[0][1]
            created.append((Path(graph).stem, names[0], own))
            self.names = names
            if "trt_engine_cache_path" in own:
                Path(own["trt_engine_cache_path"], f"{Path(graph).stem}.engine").write_bytes(b"e")

        def get_providers(self):
            return self.names

    module = types.SimpleNamespace(
        InferenceSession=Session,
        SessionOptions=onnxruntime.SessionOptions,
        GraphOptimizationLevel=onnxruntime.GraphOptimizationLevel,
        get_available_providers=lambda: [TENSORRT.ort_name, CUDA.ort_name, CPU.ort_name],
        __version__="1.99",
    )
    for name in ("session", "prepared"):
        monkeypatch.setattr(
            f"emotion2vec_edge.engine.runtime.{name}.import_onnxruntime", lambda: module
        )
    monkeypatch.setattr(prepared, "find_gpu", lambda _number: ORIN)
    monkeypatch.setattr(prepared, "tensorrt_version", lambda: "10.3.0")
    monkeypatch.setattr(prepared.BatchedModel, "encode", lambda _self, _samples: None)
    return created


def test_tensorrt_without_engines_is_refused_and_auto_takes_cuda(fake_gpu):
    with pytest.raises(ProviderError, match="no engines are built yet.*e2v warmup"):
        Recognizer.load(provider="tensorrt")
    chosen = Recognizer.load()
    assert chosen.provider == "cuda"
    assert "e2v warmup --provider tensorrt" in chosen.skipped[0]
    assert {name for _, name, _ in fake_gpu} == {CUDA.ort_name}


def test_engines_are_built_once_with_their_shapes_and_caches(fake_gpu, cache):
    Recognizer.load(provider="tensorrt", prepare=True)
    frontend, encoder = fake_gpu[:2]
    assert frontend[2]["trt_profile_min_shapes"] == "waveform:1x16080"
    assert frontend[2]["trt_profile_opt_shapes"] == "waveform:10x16080"
    assert frontend[2]["trt_profile_max_shapes"] == "waveform:120x16080"
    assert encoder[2]["trt_profile_min_shapes"] == "features:1x50x192,lengths:1"
    assert encoder[2]["trt_profile_opt_shapes"] == "features:1x500x192,lengths:1"
    assert encoder[2]["trt_profile_max_shapes"] == "features:4x1500x192,lengths:4"
    for _, name, own in (frontend, encoder):
        assert name == TENSORRT.ort_name
        assert own["trt_layer_norm_fp32_fallback"] == "1"
        assert own["trt_engine_cache_enable"] == own["trt_timing_cache_enable"] == "1"
        assert Path(own["trt_engine_cache_path"]).is_relative_to(cache / "prepared")
        assert own["trt_fp16_enable"] == "0"  # the embedded model has no float16
    fake_gpu.clear()
    assert Recognizer.load().provider == "tensorrt"
    assert [own for _, _, own in fake_gpu] == [frontend[2], encoder[2]]
    fake_gpu.clear()
    Recognizer.load(provider="tensorrt", prepare=True)
    assert len(fake_gpu) == 2  # opened, not built


@pytest.mark.parametrize("change", ["gpu", "tensorrt", "onnxruntime", "model", "option"])
def test_engines_of_something_else_are_not_taken(fake_gpu, monkeypatch, tmp_path, change):
    Recognizer.load(provider="tensorrt", prepare=True)
    model, options = None, {}
    if change == "gpu":
        monkeypatch.setattr(prepared, "find_gpu", lambda _number: Gpu("Orin", "8.7", "12.8"))
    elif change == "tensorrt":
        monkeypatch.setattr(prepared, "tensorrt_version", lambda: "10.7.0")
    elif change == "onnxruntime":
        session.import_onnxruntime().__version__ = "2.0"
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


def test_what_engines_do_not_depend_on_does_not_undo_them(fake_gpu):
    Recognizer.load(provider="tensorrt", prepare=True)
    options = {"user_compute_stream": 94_000_000, "gpu_mem_limit": 2**31}
    chosen = Recognizer.load(provider="tensorrt", provider_options=options)
    assert chosen.provider == "tensorrt"
    assert fake_gpu[-1][2]["user_compute_stream"] == "94000000"


def test_chunks_beyond_the_engines_get_sessions_on_cuda(fake_gpu):
    Recognizer.load(provider="tensorrt", prepare=True)
    fake_gpu.clear()
    chosen = Recognizer.load(provider="tensorrt", chunk_seconds=60)
    assert [name for _, name, _ in fake_gpu] == [TENSORRT.ort_name] * 2 + [CUDA.ort_name] * 2
    assert chosen.encoder.beyond is not None
    assert Recognizer.load(provider="tensorrt").encoder.beyond is None


def test_a_building_that_was_stopped_is_not_taken_for_whole(fake_gpu, monkeypatch):
    def stopped(_self):
        raise KeyboardInterrupt

    monkeypatch.setattr(prepared.PreparedEntry, "seal", stopped)
    with pytest.raises(KeyboardInterrupt):
        Recognizer.load(provider="tensorrt", prepare=True)
    with pytest.raises(ProviderError, match="no engines"):
        Recognizer.load(provider="tensorrt")


@pytest.mark.parametrize("value", ["1", "true"])
def test_cuda_graphs_are_an_option(fake_gpu, value):
    options = {"enable_cuda_graph": value, "device_id": 1}
    encoder = Recognizer.load(provider="cuda", provider_options=options).encoder
    assert (encoder.device.name, encoder.device.number) == ("cuda", 1)
    assert encoder.device.graphs
    assert not Recognizer.load(provider="cuda").encoder.device.graphs


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_gpu_that_is_no_number(fake_gpu, provider):
    with pytest.raises(OptionError, match="device_id is 'first'"):
        Recognizer.load(provider=provider, provider_options={"device_id": "first"})
