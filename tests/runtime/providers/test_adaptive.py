"""Sessions that leave other processes the processors that these keep busy."""

import shutil
import types

import numpy as np
import pytest

from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.engine.bundle import locate
from emotion2vec_edge.engine.errors import ProviderError
from emotion2vec_edge.engine.runtime import hardware
from emotion2vec_edge.engine.runtime.providers import adaptive, base, cpu
from emotion2vec_edge.engine.runtime.providers.adaptive import adaptive_sessions


class Others:
    def __init__(self, processors=0):
        self.processors = processors

    def busy(self):
        return self.processors


class Session:
    def __init__(self, text):
        self.text = text

    def run(self, _names, feeds):
        return [self.text, feeds]


@pytest.fixture
def opened():
    """Numbers of threads with which sessions were opened."""
    return []


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(adaptive, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    return now


@pytest.fixture
def open_pair(opened):
    def open_pair(threads):
        opened.append(threads)
        return Session(f"frontend {threads}"), Session(f"encoder {threads}")

    return open_pair


def test_a_quiet_machine_has_one_pair(open_pair, opened):
    frontend, encoder = adaptive_sessions(open_pair, 4, Others())
    assert frontend.run(None, {"waveform": 1}) == ["frontend 4", {"waveform": 1}]
    assert encoder.run(None, {}) == ["encoder 4", {}]
    assert opened == [4]


def test_busy_processors_are_left_to_others(open_pair, opened):
    others = Others()
    _, encoder = adaptive_sessions(open_pair, 2, others)
    for busy, threads in ((1, 1), (0, 2), (1, 1), (2, 1), (0, 2)):
        others.processors = busy
        assert encoder.run(None, {})[0] == f"encoder {threads}"
    assert opened == [2, 1]


def test_a_machine_that_is_busy_at_the_start(open_pair, opened):
    others = Others(1)
    _, encoder = adaptive_sessions(open_pair, 2, others)
    assert opened == [1]
    others.processors = 0
    assert encoder.run(None, {})[0] == "encoder 2"


def test_at_most_two_pairs_are_held_and_none_is_replaced_at_once(open_pair, opened, clock):
    others = Others(1)
    _, encoder = adaptive_sessions(open_pair, 4, others)
    others.processors = 2
    assert encoder.run(None, {})[0] == "encoder 3"
    clock[0] += adaptive.KEEP_SECONDS
    assert encoder.run(None, {})[0] == "encoder 2"
    others.processors = 0
    assert encoder.run(None, {})[0] == "encoder 4"
    others.processors = 1
    assert encoder.run(None, {})[0] == "encoder 2"
    clock[0] += adaptive.KEEP_SECONDS
    assert encoder.run(None, {})[0] == "encoder 3"
    assert opened == [3, 2, 4, 3]


def test_sessions_that_cannot_be_opened_leave_those_that_work(open_pair, opened):
    def failing(threads):
        if threads == 1:
            opened.append(threads)
            raise ProviderError("no memory")
        return open_pair(threads)

    others = Others()
    _, encoder = adaptive_sessions(failing, 2, others)
    others.processors = 1
    for _ in range(3):
        assert encoder.run(None, {})[0] == "encoder 2"
    assert opened == [2, 1]


@pytest.fixture
def others(monkeypatch):
    """Work of other processes on a machine with two processors."""
    others = Others()
    monkeypatch.setattr("emotion2vec_edge.engine.runtime.session.OtherWork", lambda: others)
    monkeypatch.setattr(hardware, "usable_threads", lambda: 2)
    return others


def test_answers_do_not_depend_on_the_load(others, example, monkeypatch):
    real, threads = cpu.session_options, []

    def spy(config):
        threads.append(config.threads)
        return real(config)

    monkeypatch.setattr(cpu, "session_options", spy)
    monkeypatch.setattr(base, "session_options", spy)
    recognizer = Recognizer.load()
    quiet = recognizer.encode(example, frames=True)
    others.processors = 1
    busy = recognizer.encode(example, frames=True)
    np.testing.assert_array_equal(busy.frames, quiet.frames)
    assert threads == [2, 2, 1, 1]


def test_a_bundle_that_was_changed_since_is_not_opened_again(others, example, tmp_path):
    folder = shutil.copytree(locate.EMBEDDED / locate.DEFAULT_NAME, tmp_path / "model")
    recognizer = Recognizer.load(folder, precision="int8")
    quiet = recognizer.recognize(example)
    (folder / "int8" / "encoder.onnx").write_bytes(b"another model")
    others.processors = 1
    assert recognizer.recognize(example).scores == quiet.scores
