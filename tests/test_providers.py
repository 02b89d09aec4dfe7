"""The ladder of execution providers, with an ONNX Runtime that is told what it has."""

import os
import types
from pathlib import Path

import onnxruntime
import pytest

from emotion2vec_edge.engine import Recognizer, providers
from emotion2vec_edge.engine.cli.doctor import ONE_NODE_GRAPH
from emotion2vec_edge.engine.errors import BundleFormatError, OptionError, ProviderError

TRT, CUDA, CPU = "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"


@pytest.fixture
def fake_ort(monkeypatch):
    """Pretend that `available` were built in, and that sessions end up on `serving` of those asked."""

    def install(available, serving=None, error=None):
        created = []

        class Session:
            def __init__(self, graph, options, providers, disabled_optimizers=None):
                if error and providers[0] in error:
                    raise RuntimeError(error[providers[0]])
                created.append((providers, options))
                self.providers = [p for p in providers if serving is None or p in serving]

            def get_providers(self):
                return self.providers

        module = types.SimpleNamespace(
            InferenceSession=Session,
            SessionOptions=onnxruntime.SessionOptions,
            get_available_providers=lambda: available,
            __version__="9.9",
        )
        monkeypatch.setattr(providers, "import_onnxruntime", lambda: module)
        return created

    return install


def opened(tier):
    return providers.open_session(b"", tier, 2)


def test_auto_takes_the_highest_tier_that_serves(fake_ort):
    fake_ort([TRT, CUDA, CPU])
    assert providers.choose("auto", opened).provider.name == "tensorrt"
    fake_ort([CUDA, CPU])
    assert providers.choose("auto", opened).provider.name == "cuda"
    fake_ort([CPU])
    chosen = providers.choose("auto", opened)
    assert chosen.provider.name == "cpu"
    assert len(chosen.skipped) == 2


def test_a_silent_fall_back_is_noticed(fake_ort):
    """ONNX Runtime creates the session on the CPU when CUDA's libraries are missing."""
    fake_ort([CUDA, CPU], serving=[CPU])
    chosen = providers.choose("auto", opened)
    assert chosen.provider.name == "cpu"
    assert any("fell back to CPUExecutionProvider" in reason for reason in chosen.skipped)
    with pytest.raises(ProviderError, match="fell back"):
        providers.choose("cuda", opened)


def test_a_tier_that_fails_gives_its_reason_and_the_next_serves(fake_ort):
    fake_ort([TRT, CUDA, CPU], error={TRT: "libnvinfer.so.10: cannot open\nmore"})
    chosen = providers.choose("auto", opened)
    assert chosen.provider.name == "cuda"
    assert "libnvinfer.so.10: cannot open" in chosen.skipped[0]
    with pytest.raises(ProviderError, match=r"libnvinfer.*pip"):
        providers.choose("tensorrt", opened)


def test_a_named_provider_is_never_replaced(fake_ort):
    fake_ort([CPU])
    with pytest.raises(ProviderError, match="has no CUDAExecutionProvider.*pip install"):
        providers.choose("cuda", opened)


def test_lower_providers_take_what_a_tier_cannot(fake_ort):
    created = fake_ort([TRT, CUDA, CPU])
    providers.choose("tensorrt", opened)
    assert created[0][0] == [TRT, CUDA, CPU]


def test_threads_are_always_set(fake_ort):
    created = fake_ort([CPU])
    providers.choose("cpu", opened)
    options = created[0][1]
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)


def test_threads_default_to_the_processors_of_this_process(monkeypatch):
    monkeypatch.setattr(providers.os, "sched_getaffinity", lambda _: {3, 5, 7}, raising=False)
    assert providers.checked_threads(None) == 3
    for wrong in (0, -1, 1.5, True, 5_000):
        with pytest.raises(OptionError, match="threads"):
            providers.checked_threads(wrong)


def test_an_unknown_provider_lists_the_known():
    with pytest.raises(OptionError, match="auto, tensorrt, cuda, cpu"):
        providers.choose("gpu", opened)


def test_a_missing_onnxruntime_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(providers.sys.modules, "onnxruntime", None)
    with pytest.raises(ProviderError, match=r"pip install 'emotion2vec-edge\[cpu\]'"):
        providers.import_onnxruntime()


def test_two_builds_in_one_place_are_recognized(monkeypatch):
    monkeypatch.setitem(providers.sys.modules, "onnxruntime", types.ModuleType("onnxruntime"))
    with pytest.raises(ProviderError, match="pip uninstall"):
        providers.import_onnxruntime()


def test_a_real_session_on_the_cpu():
    session = providers.open_session(ONE_NODE_GRAPH, providers.CPU, 1)
    assert session.get_providers() == [CPU]
    with pytest.raises(BundleFormatError):
        providers.open_session(b"no graph", providers.CPU, 1)


def test_int8_is_refused_on_a_gpu_with_the_reason(fake_ort, two_variants):
    fake_ort([TRT, CUDA, CPU])
    for name in ("cuda", "tensorrt"):
        with pytest.raises(ProviderError, match="DynamicQuantizeLinear has no CUDA kernel"):
            Recognizer.load(two_variants, provider=name, precision="int8")
    assert Recognizer.load(two_variants, precision="int8").provider == "cpu"


def test_auto_precision_suits_the_provider(fake_ort, two_variants):
    fake_ort([TRT, CUDA, CPU])
    assert Recognizer.load(two_variants, provider="cuda").precision == "fp32"
    assert Recognizer.load(two_variants, provider="cpu").precision == "int8"


def test_an_unknown_precision_lists_the_known():
    with pytest.raises(OptionError, match="auto, fp32, int8, fp16"):
        Recognizer.load(precision="int4")


@pytest.fixture
def two_variants(tmp_path):
    """The embedded bundle with its fp32 graphs under the name int8 too."""
    import dataclasses
    import shutil

    from emotion2vec_edge.engine import bundle, open_bundle

    folder = tmp_path / "two"
    shutil.copytree(bundle.EMBEDDED / bundle.DEFAULT_NAME, folder)
    manifest = open_bundle(folder).manifest
    fp32 = manifest.variants["fp32"]
    manifest = dataclasses.replace(manifest, variants={"fp32": fp32, "int8": fp32})
    (folder / "bundle.json").write_text(manifest.to_json(), encoding="utf-8")
    return folder


def test_threads_are_pinned_where_a_session_has_all_processors(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {4, 0, 7}, raising=False)
    assert providers.pinned_processors(3) == "5;8"
    assert providers.pinned_processors(2) == ""
    assert providers.pinned_processors(4) == ""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    assert providers.pinned_processors(1) == ""


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no affinities on this system")
def test_the_threads_of_a_session_are_where_they_belong():
    """ONNX Runtime takes the setting: the threads that it starts stay on one processor each."""
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < 2:
        pytest.skip("one processor has no threads to pin")
    before = set(Path("/proc/self/task").iterdir())
    session = providers.open_session(ONE_NODE_GRAPH, providers.CPU, len(processors))
    started = set(Path("/proc/self/task").iterdir()) - before
    assert session.get_providers()
    pinned = [os.sched_getaffinity(int(thread.name)) for thread in started]
    assert sorted(map(sorted, pinned)) == [[processor] for processor in processors[1:]]
