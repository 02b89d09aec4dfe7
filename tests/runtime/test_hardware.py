"""The processor and the GPU of this machine, and the threads that sessions get."""

import ctypes
import os
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
