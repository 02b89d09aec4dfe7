"""The processor and the GPU of this machine, and the threads that sessions get."""

import ctypes
import os
import subprocess
import sys
import time
import types

import pytest

from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.runtime import hardware


def test_threads_default_to_the_processors_of_this_process(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7}, raising=False)
    assert hardware.checked_threads(None) == 3
    for wrong in (0, -1, 1.5, True, 5_000):
        with pytest.raises(OptionError, match="threads"):
            hardware.checked_threads(wrong)


def test_threads_are_pinned_where_a_session_has_all_processors(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {4, 0, 7}, raising=False)
    assert hardware.pinned_processors(3) == "5;8"
    assert hardware.pinned_processors(2) == ""
    assert hardware.pinned_processors(4) == ""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    assert hardware.pinned_processors(1) == ""


@pytest.fixture
def machine(monkeypatch):
    """A machine with processors 0 to 3, of which this process may use 1 and 2, at time 0."""
    state = types.SimpleNamespace(now=0.0, own=0.0, user=[0.0] * 4, low=[0.0] * 4)
    ticks = os.sysconf("SC_CLK_TCK")

    def read(**_encoding):
        rows = [
            f"cpu{number} {round(user * ticks)} {round(low * ticks)} 0 99 9 0 0 0 7 7"
            for number, (user, low) in enumerate(zip(state.user, state.low, strict=True))
        ]
        return "\n".join(["cpu  1 1 1 1 1 1 1 1 1 1", *rows, "intr 5", ""])

    monkeypatch.setattr(hardware, "STATISTICS", types.SimpleNamespace(read_text=read))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 2}, raising=False)
    monkeypatch.setattr(os, "getpriority", lambda *_: 0)
    clock = types.SimpleNamespace(monotonic=lambda: state.now, process_time=lambda: state.own)
    monkeypatch.setattr(hardware, "time", clock)
    return state


def test_processors_that_others_keep_busy(machine):
    others = hardware.OtherWork()

    def after(own=0.0, busy=(0, 0, 0, 0), low=(0, 0, 0, 0)):
        machine.now += 1
        machine.own += own
        machine.user = [a + b for a, b in zip(machine.user, busy, strict=True)]
        machine.low = [a + b for a, b in zip(machine.low, low, strict=True)]
        return others.busy()

    assert after(own=2, busy=(1, 1, 1, 1)) == 0  # this process, and processors of others
    assert after(busy=(0, 0.1, 0.1, 0)) == 0
    assert after(own=1.5, busy=(0, 1, 1, 0)) == 1  # half of a processor that is shared
    assert after(busy=(0, 0.3, 0, 0)) == 1
    assert after(busy=(0, 0.2, 0, 0)) == 0
    assert after(busy=(0, 1, 1, 0)) == 2
    assert after(low=(0, 1, 1, 0)) == 0


def test_processes_of_low_priority_count_for_one_of_them(machine, monkeypatch):
    monkeypatch.setattr(os, "getpriority", lambda *_: 5)
    others = hardware.OtherWork()
    machine.now, machine.low = 1, [0, 1, 0, 0]
    assert others.busy() == 1


def test_readings_are_not_close_together(machine):
    others = hardware.OtherWork()
    machine.now, machine.user = 0.05, [0, 0.05, 0.05, 0]
    assert others.busy() == 0
    machine.now, machine.user = 0.1, [0, 0.1, 0.1, 0]
    assert others.busy() == 2
    machine.now = 0.4
    assert others.busy() == 2
    machine.now = 5
    assert others.busy() == 0


def test_a_system_without_the_times_of_processors(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(hardware, "FIRST_READING_SECONDS", 0)
    assert hardware.OtherWork().busy() == 0


@pytest.mark.skipif(not hardware.STATISTICS.exists(), reason="the times are those of Linux")
def test_a_process_that_spins_is_seen():
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        others = hardware.OtherWork()
        time.sleep(1)
        assert others.busy() >= 1
    finally:
        process.kill()
        process.wait()


def fake_cuda():
    """NVIDIA's driver of a Jetson Orin."""

    def tells(value):
        def call(target, *_):
            target._obj.value = value
            return 0

        return call

    def name(buffer, _length, _handle):
        buffer.value = b"Orin"
        return 0

    return types.SimpleNamespace(
        cuInit=lambda _flags: 0,
        cuDriverGetVersion=tells(12_060),
        cuDeviceGet=lambda _handle, number: 101 if number else 0,
        cuDeviceGetName=name,
        cuDeviceGetAttribute=lambda value, attribute, handle: tells({75: 8, 76: 7}[attribute])(
            value, attribute, handle
        ),
    )


def test_the_driver_says_which_gpu_it_is(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: fake_cuda())
    assert str(hardware.find_gpu()) == "Orin (compute 8.7, driver for CUDA 12.6)"
    assert hardware.find_gpu(1) is None


@pytest.mark.parametrize(
    ("library", "number", "version"),
    [("libnvinfer.so.10", 100_300, "10.3.0"), ("libnvinfer.so.8", 8_502, "8.5.2")],
)
def test_the_version_of_tensorrt(monkeypatch, library, number, version):
    def load(name):
        if name != library:
            raise OSError(name)
        return types.SimpleNamespace(getInferLibVersion=lambda: number)

    monkeypatch.setattr(ctypes, "CDLL", load)
    assert hardware.tensorrt_version() == version


def test_a_machine_without_nvidia(monkeypatch):
    def none(name):
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", none)
    assert hardware.find_gpu() is None
    assert hardware.tensorrt_version() is None
    assert hardware.gpu_line() is None
