"""The import of ONNX Runtime, and the settings that sessions get."""

import io
import os
import sys
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import onnxruntime
import onnxruntime.capi.onnxruntime_inference_collection as collection
import pytest

from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.engine.cli.machine.doctor import ONE_NODE_GRAPH
from emotion2vec_edge.engine.errors import BundleFormatError, ProviderError
from emotion2vec_edge.engine.runtime import session
from emotion2vec_edge.engine.runtime.providers import CPU, CUDA
from emotion2vec_edge.engine.runtime.session import SessionConfig


def test_threads_are_always_set(fake_ort):
    created = fake_ort([CPU.ort_name])
    CPU.open_session(b"", SessionConfig(2))
    options = created[0].options
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)


def test_a_missing_onnxruntime_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ProviderError, match=r"pip install 'emotion2vec-edge\[cpu\]'"):
        session.import_onnxruntime()


def test_two_builds_in_one_place_are_recognized(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", types.ModuleType("onnxruntime"))
    with pytest.raises(ProviderError, match="pip uninstall"):
        session.import_onnxruntime()


@pytest.fixture
def processors():
    """Processors of the machine, which this thread may use for once; the tests' workers have one each."""
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("no affinities on this system")
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    yield sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, own)


def test_the_threads_of_a_session_are_where_they_belong(processors):
    """ONNX Runtime takes the setting: the threads that it starts stay on one processor each."""
    if len(processors) < 2:
        pytest.skip("one processor has no threads to pin")
    before = set(Path("/proc/self/task").iterdir())
    opened = CPU.open_session(ONE_NODE_GRAPH, SessionConfig(len(processors)))
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


def test_loading_in_threads_leaves_stdout_alone(monkeypatch):
    """Neither afterwards nor meanwhile, for what other threads print."""
    stdout = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stdout)
    done = threading.Event()
    seen = set()

    def watch():
        while not done.is_set():
            seen.add(sys.stdout)
            time.sleep(0.0001)  # the threads that load may share its processor

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: Recognizer.load(), range(8)))
    done.set()
    watcher.join()
    assert sys.stdout is stdout
    assert seen == {stdout}


def test_what_onnxruntime_prints_goes_to_stderr(capsys):
    session.import_onnxruntime()
    collection.print("EP Error", "Falling back", flush=True)
    assert capsys.readouterr() == ("", "EP Error Falling back\n")


def test_a_run_that_fails_does_not_go_on_elsewhere(fake_ort):
    created = fake_ort([CUDA.ort_name, CPU.ort_name])
    CUDA.open_session(b"", SessionConfig(1))
    assert [session.fallback for session in created] == [False]


@pytest.fixture(params=["pipe", "device", "folder", "gone"])
def no_file(request, tmp_path):
    path = tmp_path / "encoder.onnx"
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "device":
        path.symlink_to("/dev/zero")
    elif request.param == "folder":
        path.mkdir()
    return path


def test_only_a_regular_file_is_a_graph(no_file):
    with pytest.raises(BundleFormatError, match=r"encoder\.onnx: (not a regular|cannot be read)"):
        CPU.open_session(no_file, SessionConfig(1))


@pytest.mark.parametrize("content", [b"", b"no graph", ONE_NODE_GRAPH[:40], b"\xff" * 1000])
def test_what_is_no_graph_is_refused(content, tmp_path):
    path = tmp_path / "encoder.onnx"
    path.write_bytes(content)
    with pytest.raises(BundleFormatError, match=r"encoder\.onnx: onnxruntime .* cannot load it"):
        CPU.open_session(path, SessionConfig(1))
    with pytest.raises(BundleFormatError, match="graph: onnxruntime .* cannot load it"):
        CPU.open_session(content, SessionConfig(1))


@pytest.mark.parametrize("name", ["InvalidProtobuf", "InvalidGraph"])
def test_a_broken_graph_is_not_the_fault_of_a_gpu(fake_ort, name):
    """Another provider would fail too, so that `auto` does not go on."""
    error = getattr(onnxruntime.capi.onnxruntime_pybind11_state, name)("it ends too early")
    fake_ort([CUDA.ort_name, CPU.ort_name], error={CUDA.ort_name: error})
    with pytest.raises(BundleFormatError, match="it ends too early"):
        CUDA.open_session(b"x", SessionConfig(1))
