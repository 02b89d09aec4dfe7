"""The processors, the memory and the GPU of this machine, and the threads that sessions get."""

import ctypes
import mmap
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


@pytest.fixture
def container(monkeypatch, tmp_path):
    """Write files of Linux that tell of 64 processors, 32 GiB of memory and control groups.

    Args:
        cgroup: groups of this process, as in /proc/self/cgroup.
        files: path below /sys/fs/cgroup → content.
    """
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    for name in ("PROCESS", "CONTROL_GROUPS", "MEMORY"):
        monkeypatch.setattr(hardware, name, tmp_path / name)
    (tmp_path / "MEMORY").write_text(
        "MemTotal: 67108864 kB\nMemAvailable:   33554432 kB\nPages: 0\n"
    )

    def write(cgroup, files):
        (tmp_path / "PROCESS").mkdir()
        (tmp_path / "PROCESS" / "cgroup").write_text(cgroup)
        for place, text in files.items():
            path = tmp_path / "CONTROL_GROUPS" / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return write


@pytest.mark.parametrize(
    ("cgroup", "files", "threads"),
    [
        ("0::/\n", {}, 64),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 64),
        ("0::/\n", {"cpu.max": "400000 100000\n"}, 4),
        ("0::/\n", {"cpu.max": "250000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "9900000 100000\n"}, 64),
        # A service below a slice that has less.
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "300000 100000\n"}, 3),
        # Version 1: in a container the group is at the root, whatever its path outside.
        (
            "4:memory:/docker/1\n3:cpu,cpuacct:/docker/1\n",
            {"cpu/cpu.cfs_quota_us": "800000\n", "cpu/cpu.cfs_period_us": "100000\n"},
            8,
        ),
        (
            "1:cpu:/\n0::/\n",
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
            64,
        ),
    ],
)
def test_control_groups_limit_the_threads(container, cgroup, files, threads):
    container(cgroup, files)
    assert hardware.checked_threads(None) == threads
    assert hardware.pinned_processors(threads) == (
        "" if threads < 64 else ";".join(map(str, range(2, 65)))
    )


@pytest.mark.parametrize(
    ("cgroup", "files", "mebibytes"),
    [
        ("0::/\n", {}, 32 << 10),
        (
            "0::/\n",
            {
                "memory.max": f"{4 << 30}\n",
                "memory.current": f"{3 << 30}\n",
                "memory.stat": f"anon {2 << 30}\ninactive_file {512 << 20}\n",
            },
            1536,
        ),
        (
            "2:memory:/docker/1\n",
            {
                "memory/memory.limit_in_bytes": f"{1 << 30}\n",
                "memory/memory.usage_in_bytes": f"{2 << 30}\n",
                "memory/memory.stat": "total_inactive_file 0\n",
            },
            0,
        ),
        (
            "0::/a\n",
            {"a/memory.max": "max\n", "a/memory.current": "5\n", "a/memory.stat": "anon 5\n"},
            32 << 10,
        ),
    ],
)
def test_control_groups_limit_the_memory(container, cgroup, files, mebibytes):
    container(cgroup, files)
    assert hardware.free_memory() == mebibytes << 20


def test_a_system_without_the_files_of_linux(container):
    hardware.MEMORY.unlink()
    assert hardware.checked_threads(None) == 64
    assert hardware.free_memory() is None
    assert hardware.private_memory() is None


@pytest.mark.skipif(not hardware.STATISTICS.exists(), reason="the files are those of Linux")
def test_the_memory_of_this_process_grows_with_what_it_holds():
    before = hardware.private_memory()
    # Not by malloc, which may have as much left that was freed and still counts.
    with mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as held:
        held.write(b"x" * (64 << 20))
        assert hardware.private_memory() - before > 60 << 20
        assert hardware.free_memory() > len(held)


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


def test_processors_beyond_the_limit_of_a_container_may_be_busy(machine, monkeypatch):
    monkeypatch.setattr(hardware, "usable_threads", lambda: 1)
    others = hardware.OtherWork()
    machine.now, machine.user = 1, [0, 1, 0, 0]
    assert others.busy() == 0
    machine.now, machine.user = 2, [0, 2, 1, 0]
    assert others.busy() == 1


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
