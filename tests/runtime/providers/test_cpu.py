"""The processor: its sessions, and the graphs that are packed for it."""

import os
import shutil
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from emotion2vec_edge.engine import Recognizer, open_bundle
from emotion2vec_edge.engine.bundle import locate
from emotion2vec_edge.engine.cli.machine.doctor import ONE_NODE_GRAPH
from emotion2vec_edge.engine.errors import (
    BundleFormatError,
    OptionError,
    OutputError,
    ProviderError,
)
from emotion2vec_edge.engine.runtime import hardware
from emotion2vec_edge.engine.runtime.chunking import Chunking
from emotion2vec_edge.engine.runtime.model import SelectedVariant
from emotion2vec_edge.engine.runtime.providers import CPU, cpu
from emotion2vec_edge.engine.runtime.session import SessionConfig
from emotion2vec_edge.quantize.rewrites.graph import CONTRIB


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("E2V_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """No other process is busy, so that no more sessions are opened than the tests count."""
    monkeypatch.setattr(hardware.OtherWork, "busy", lambda _self: 0)


@pytest.fixture
def noise(rng):
    return rng.standard_normal(32_000).astype(np.float32)


@pytest.fixture
def opened(monkeypatch):
    """Path of each graph that a session was created of."""
    graphs = []
    real = CPU.create_session

    def spy(graph, options, own):
        graphs.append(graph)
        return real(graph, options, own)

    monkeypatch.setattr(CPU, "create_session", spy)
    return graphs


def source(precision="int8"):
    bundle = open_bundle()
    return SelectedVariant(bundle, precision, Chunking(), bundle.head())


def prepared():
    return CPU.entry(source(), SessionConfig(1)).find()


def test_a_real_session():
    assert CPU.open_session(ONE_NODE_GRAPH, SessionConfig(1)).get_providers() == [CPU.ort_name]


def test_sessions_have_no_options(fake_ort):
    created = fake_ort([CPU.ort_name])
    CPU.open_session(b"", SessionConfig(2))
    assert (created[0].names, created[0].own) == ([CPU.ort_name], {})


def test_products_of_eight_bits_are_exact(rng):
    """Before VNNI, x86 would add two of these in sixteen bits, and overflow."""
    weights = np.full((512, 16), 127, np.int8)
    weights[:, ::2] = rng.integers(-127, 128, (512, 8))
    constants = {
        "weights": weights,
        "scales": np.ones(16, np.float32),
        "zeros": np.zeros(16, np.int8),
    }
    graph = helper.make_graph(
        [helper.make_node("DynamicQuantizeMatMul", ["x", *constants], ["y"], domain=CONTRIB)],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["frames", 512])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["frames", 16])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(CONTRIB, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    x = rng.integers(0, 256, (9, 512)).astype(np.float32)
    x[0] = 255  # the whole range is used, so that its scale is 1
    (found,) = CPU.open_session(model.SerializeToString(), SessionConfig(1)).run(None, {"x": x})
    np.testing.assert_allclose(found, x @ weights.astype(np.float64), rtol=1e-5)


def test_options_that_would_be_ignored_are_refused():
    with pytest.raises(OptionError, match="cpu takes no options, and not device_id"):
        Recognizer.load(provider="cpu", provider_options={"device_id": 1})


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_packed_graphs_give_the_same_to_the_bit(noise, opened, precision):
    plain = Recognizer.load(precision=precision).encode(noise, 16_000, frames=True)
    Recognizer.load(precision=precision, prepare=True)
    opened.clear()
    packed = Recognizer.load(precision=precision)
    folder = CPU.entry(source(precision), SessionConfig(1)).find()
    assert opened == [folder / "frontend.onnx", folder / "encoder.onnx"]
    encoding = packed.encode(noise, 16_000, frames=True)
    np.testing.assert_array_equal(encoding.frames, plain.frames)
    np.testing.assert_array_equal(encoding.logits, plain.logits)


def test_nothing_is_written_that_nobody_asked_for(cache):
    Recognizer.load()
    assert not (cache / "prepared").exists()


def test_what_is_ready_is_not_made_again(opened):
    Recognizer.load(prepare=True)
    assert len(opened) == 6  # packed, checked, opened
    folder = prepared()
    opened.clear()
    Recognizer.load(prepare=True)
    assert prepared() == folder
    assert opened == [folder / "frontend.onnx", folder / "encoder.onnx"]


@pytest.mark.parametrize("change", ["version", "processor"])
def test_another_version_or_processor_takes_the_bundle(monkeypatch, opened, change):
    Recognizer.load(prepare=True)
    if change == "version":
        monkeypatch.setattr(onnxruntime, "__version__", "9.9")
    else:
        monkeypatch.setattr(cpu, "cpu_flags", lambda: frozenset({"avx2"}))
    opened.clear()
    Recognizer.load()
    assert opened == list(source().graphs.values())


def test_packed_graphs_that_cannot_be_loaded_cost_time_only(monkeypatch, noise):
    """As those of a machine whose digest happens to be the same."""
    expected = Recognizer.load(prepare=True).recognize(noise, 16_000).scores
    (prepared() / "encoder.onnx").write_bytes(b"no graph")
    monkeypatch.setattr("emotion2vec_edge.engine.runtime.prepared.verify_files", lambda *_: None)
    assert Recognizer.load().recognize(noise, 16_000).scores == expected


def test_what_gives_other_answers_is_not_kept(monkeypatch):
    real = cpu.SequentialModel.encode
    calls = []

    def other(self, samples):
        calls.append(1)
        frames, logits = real(self, samples)
        return frames + len(calls), logits

    monkeypatch.setattr(cpu.SequentialModel, "encode", other)
    with pytest.raises(ProviderError, match=r"other answers.*MiB are free"):
        CPU.prepare(source(), SessionConfig(1))
    assert not CPU.entry(source(), SessionConfig(1)).folder.exists()


def test_a_broken_bundle_is_not_taken_for_a_full_disk(tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(locate.EMBEDDED / locate.DEFAULT_NAME, broken)
    (broken / "int8" / "encoder.onnx").write_bytes(b"no graph")
    bundle = open_bundle(broken)
    with pytest.raises(BundleFormatError, match=r"int8/encoder\.onnx: onnxruntime"):
        CPU.prepare(SelectedVariant(bundle, "int8", Chunking(), bundle.head()), SessionConfig(1))


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


def test_a_cache_that_cannot_be_written(cache):
    cache.write_text("a file")
    with pytest.raises(OutputError, match="cache"):
        Recognizer.load(prepare=True)
    Recognizer.load()


@pytest.mark.parametrize(
    "variables",
    [
        {"E2V_CACHE": "/proc/1/x" * 1000},  # a name that is too long, as seen by `stat`
        {"E2V_CACHE": "/dev/null/x"},
        {"E2V_CACHE": "", "XDG_CACHE_HOME": "", "HOME": "/dev/null/x"},
    ],
)
def test_a_cache_that_cannot_be_read_costs_time_only(variables):
    done = subprocess.run(
        [sys.executable, "-m", "emotion2vec_edge.engine.cli", "recognize", "--examples"],
        env=os.environ | variables,
        capture_output=True,
        check=False,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(
    sys.version_info < (3, 11), reason="pathlib of Python 3.10 keeps functions of os of its own"
)
def test_a_cache_without_permission_costs_time_only(monkeypatch, cache):
    real = os.stat

    def denied(path, *arguments, **options):
        if str(path).startswith(str(cache)):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **options)

    Recognizer.load(prepare=True)
    monkeypatch.setattr(os, "stat", denied)
    with pytest.raises(PermissionError):
        (cache / "prepared").stat()
    Recognizer.load()
