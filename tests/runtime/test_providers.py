"""The ladder of execution providers, with an ONNX Runtime that is told what it has."""

import os
import subprocess
import sys
import time
import types
from collections import Counter
from pathlib import Path

import onnxruntime
import pytest

from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.engine.bundle import locate
from emotion2vec_edge.engine.cli.doctor import ONE_NODE_GRAPH
from emotion2vec_edge.engine.errors import BundleFormatError, OptionError, ProviderError
from emotion2vec_edge.engine.runtime import hardware, providers, session
from emotion2vec_edge.engine.runtime.profiling import Placement, placements

TRT, CUDA, CPU = "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"


@pytest.fixture
def fake_ort(monkeypatch):
    """Pretend that `available` were built in, and that sessions end up on `serving` of those asked."""

    def install(available, serving=None, error=None):
        created = []

        class Session:
            def __init__(self, graph, options, providers, disabled_optimizers=None):
                own = {} if isinstance(providers[0], str) else providers[0][1]
                names = [p if isinstance(p, str) else p[0] for p in providers]
                if error and names[0] in error:
                    raise RuntimeError(error[names[0]])
                created.append((names, options, own))
                self.providers = [p for p in names if serving is None or p in serving]

            def get_providers(self):
                return self.providers

        module = types.SimpleNamespace(
            InferenceSession=Session,
            SessionOptions=onnxruntime.SessionOptions,
            get_available_providers=lambda: available,
            __version__="9.9",
        )
        monkeypatch.setattr(session, "import_onnxruntime", lambda: module)
        return created

    return install


def opened(tier):
    return session.open_session(b"", tier, session.SessionConfig(2))


def test_auto_takes_the_highest_tier_that_serves(fake_ort):
    fake_ort([TRT, CUDA, CPU])
    assert session.choose("auto", opened).provider.name == "tensorrt"
    fake_ort([CUDA, CPU])
    assert session.choose("auto", opened).provider.name == "cuda"
    fake_ort([CPU])
    chosen = session.choose("auto", opened)
    assert chosen.provider.name == "cpu"
    assert len(chosen.skipped) == 2


def test_a_silent_fall_back_is_noticed(fake_ort):
    """ONNX Runtime creates the session on the CPU when CUDA's libraries are missing."""
    fake_ort([CUDA, CPU], serving=[CPU])
    chosen = session.choose("auto", opened)
    assert chosen.provider.name == "cpu"
    assert any("fell back to CPUExecutionProvider" in reason for reason in chosen.skipped)
    with pytest.raises(ProviderError, match="fell back"):
        session.choose("cuda", opened)


def test_a_tier_that_fails_gives_its_reason_and_the_next_serves(fake_ort):
    fake_ort([TRT, CUDA, CPU], error={TRT: "libnvinfer.so.10: cannot open\nmore"})
    chosen = session.choose("auto", opened)
    assert chosen.provider.name == "cuda"
    assert "libnvinfer.so.10: cannot open" in chosen.skipped[0]
    with pytest.raises(ProviderError, match=r"libnvinfer.*pip"):
        session.choose("tensorrt", opened)


def test_a_named_provider_is_never_replaced(fake_ort):
    fake_ort([CPU])
    with pytest.raises(ProviderError, match="has no CUDAExecutionProvider.*pip install"):
        session.choose("cuda", opened)


def test_lower_providers_take_what_a_tier_cannot(fake_ort):
    created = fake_ort([TRT, CUDA, CPU])
    session.choose("tensorrt", opened)
    assert created[0][0] == [TRT, CUDA, CPU]


def test_threads_are_always_set(fake_ort):
    created = fake_ort([CPU])
    session.choose("cpu", opened)
    options = created[0][1]
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)


def test_threads_default_to_the_processors_of_this_process(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7}, raising=False)
    assert hardware.checked_threads(None) == 3
    for wrong in (0, -1, 1.5, True, 5_000):
        with pytest.raises(OptionError, match="threads"):
            hardware.checked_threads(wrong)


def test_an_unknown_provider_lists_the_known():
    with pytest.raises(OptionError, match="auto, tensorrt, cuda, cpu"):
        session.choose("gpu", opened)


def test_a_missing_onnxruntime_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(session.sys.modules, "onnxruntime", None)
    with pytest.raises(ProviderError, match=r"pip install 'emotion2vec-edge\[cpu\]'"):
        session.import_onnxruntime()


def test_two_builds_in_one_place_are_recognized(monkeypatch):
    monkeypatch.setitem(session.sys.modules, "onnxruntime", types.ModuleType("onnxruntime"))
    with pytest.raises(ProviderError, match="pip uninstall"):
        session.import_onnxruntime()


def test_a_real_session_on_the_cpu():
    opened = session.open_session(ONE_NODE_GRAPH, providers.CPU, session.SessionConfig(1))
    assert opened.get_providers() == [CPU]
    with pytest.raises(BundleFormatError):
        session.open_session(b"no graph", providers.CPU, session.SessionConfig(1))


def test_int8_is_refused_on_a_gpu_with_the_reason(fake_ort, two_variants):
    fake_ort([TRT, CUDA, CPU])
    for name in ("cuda", "tensorrt"):
        with pytest.raises(ProviderError, match="CUDA has none for DynamicQuantizeLinear"):
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

    from emotion2vec_edge.engine import open_bundle

    folder = tmp_path / "two"
    shutil.copytree(locate.EMBEDDED / locate.DEFAULT_NAME, folder)
    manifest = open_bundle(folder).manifest
    fp32 = manifest.variants["fp32"]
    manifest = dataclasses.replace(manifest, variants={"fp32": fp32, "int8": fp32})
    (folder / "bundle.json").write_text(manifest.to_json(), encoding="utf-8")
    return folder


def test_threads_are_pinned_where_a_session_has_all_processors(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {4, 0, 7}, raising=False)
    assert hardware.pinned_processors(3) == "5;8"
    assert hardware.pinned_processors(2) == ""
    assert hardware.pinned_processors(4) == ""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    assert hardware.pinned_processors(1) == ""


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no affinities on this system")
def test_the_threads_of_a_session_are_where_they_belong():
    """ONNX Runtime takes the setting: the threads that it starts stay on one processor each."""
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < 2:
        pytest.skip("one processor has no threads to pin")
    before = set(Path("/proc/self/task").iterdir())
    opened = session.open_session(
        ONE_NODE_GRAPH, providers.CPU, session.SessionConfig(len(processors))
    )
    started = set(Path("/proc/self/task").iterdir()) - before
    assert opened.get_providers()
    expected = [[processor] for processor in processors[1:]]
    until = time.monotonic() + 10  # a thread sets it itself, once it gets to run
    while True:
        pinned = [os.sched_getaffinity(int(thread.name)) for thread in started]
        if sorted(map(sorted, pinned)) == expected or time.monotonic() > until:
            break
        time.sleep(0.01)
    assert sorted(map(sorted, pinned)) == expected


def test_options_of_ours_and_of_the_user_reach_the_session(fake_ort):
    created = fake_ort([CUDA, CPU])
    session.open_session(b"", providers.CUDA, session.SessionConfig(2, {"device_id": "1"}))
    assert created[0][0] == [CUDA, CPU]
    assert created[0][2]["cudnn_conv_algo_search"] == "HEURISTIC"
    assert created[0][2]["device_id"] == "1"
    session.open_session(
        b"", providers.CUDA, session.SessionConfig(2, {"cudnn_conv_algo_search": "DEFAULT"})
    )
    assert created[1][2]["cudnn_conv_algo_search"] == "DEFAULT"
    session.open_session(b"", providers.CPU, session.SessionConfig(2))
    assert (created[2][0], created[2][2]) == ([CPU], {})


def test_options_are_one_providers_own():
    with pytest.raises(OptionError, match="name it instead of auto"):
        Recognizer.load(provider_options={"device_id": 1})


def test_an_option_that_there_is_not_is_an_error_of_the_provider():
    with pytest.raises((ProviderError, BundleFormatError)):
        Recognizer.load(provider="cuda", provider_options={"no_such_option": 1})


def test_libraries_of_nvidias_wheels_are_loaded_for_its_providers_only(fake_ort, monkeypatch):
    fake_ort([CUDA, CPU])
    loaded = []
    module = session.import_onnxruntime()
    module.preload_dlls = lambda: loaded.append(1)
    opened(providers.CPU)
    assert loaded == []
    opened(providers.CUDA)
    assert loaded == [1]

    def broken():
        raise OSError("libcudart.so.12: cannot open shared object file")

    module.preload_dlls = broken  # whether it was needed is seen at the session
    opened(providers.CUDA)


def test_the_missing_library_is_named(fake_ort, tmp_path):
    fake_ort([CUDA, CPU], serving=[CPU])
    module = session.import_onnxruntime()
    module.__file__ = str(tmp_path / "__init__.py")
    with pytest.raises(ProviderError, match=r"providers_cuda\.so is not part of this build"):
        opened(providers.CUDA)
    (tmp_path / "capi").mkdir()
    (tmp_path / "capi" / "libonnxruntime_providers_cuda.so").write_bytes(b"\x7fELF nothing more")
    with pytest.raises(ProviderError, match=r"fell back.*providers_cuda\.so.*pip uninstall"):
        opened(providers.CUDA)


@pytest.mark.parametrize("name", ["openvino", "coreml", "xnnpack"])
def test_further_providers_are_taken_by_name_only(fake_ort, name):
    tier = next(one for one in providers.PROVIDERS if one.name == name)
    fake_ort([tier.ort_name, CPU])
    assert session.choose("auto", opened).provider is providers.CPU
    assert session.choose(name, opened).provider is tier
    fake_ort([CPU])
    with pytest.raises(ProviderError, match=tier.ort_name):
        session.choose(name, opened)


def test_what_runs_where_is_seen_in_the_profile(recognizer):
    frontend, encoder = placements(recognizer)
    assert (frontend.graph, encoder.graph) == ("frontend", "encoder")
    assert not frontend.elsewhere
    assert encoder.nodes[CPU]["LayerNormalization"] > 3
    assert str(encoder).endswith("operators on CPUExecutionProvider")


def test_operators_that_were_left_to_the_processor_are_named():
    nodes = {CUDA: Counter(MatMul=30), CPU: Counter(Gather=2, Shape=1)}
    placement = Placement("encoder", nodes, CUDA)
    assert str(placement) == (
        "encoder: 30 operators on CUDAExecutionProvider, 3 elsewhere: Gather × 2, Shape × 1"
    )


def test_doctor_shows_the_placement():
    command = [sys.executable, "-m", "emotion2vec_edge.engine.cli", "doctor"]
    done = subprocess.run(
        [*command, "--model", "emotion2vec_small"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "frontend: " in done.stdout
    assert " operators on CPUExecutionProvider" in done.stdout
    done = subprocess.run([*command, "--model", "gone"], capture_output=True, check=False)
    assert done.returncode == 4
