"""The processes that run FFmpeg: bounded memory, and what becomes of one that fails."""

import contextlib
import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from recordings import encoded, tone

from emotion2vec_edge.engine.audio import ffmpeg, ffmpeg_worker, sources
from emotion2vec_edge.engine.audio.recording import Recording, load_audio
from emotion2vec_edge.engine.errors import AudioReadError, UndecodableAudioError

MB = 1 << 20


@pytest.fixture(scope="module")
def m4a():
    return encoded(tone(3.0), 16_000, "ipod", codec="aac")


@pytest.fixture
def no_idle():
    """No worker is left of other tests, nor of this one."""
    ffmpeg.WORKERS.clear()
    yield
    ffmpeg.WORKERS.clear()


# Files of a few kB that take gigabytes.


def element(name, *parts):
    content = b"".join(parts)
    return bytes.fromhex(name) + (len(content) | 1 << 56).to_bytes(8, "big") + content


def number(name, value):
    return element(name, value.to_bytes(8, "big").lstrip(b"\0") or b"\0")


def matroska(*blocks):
    """64 channels of 8-bit PCM at 768 kHz, compressed with zlib."""
    compression = element("6D80", element("6240", element("5034", number("4254", 0))))
    sound = [element("B5", struct.pack(">d", 768_000.0)), number("9F", 64), number("6264", 8)]
    track = element(
        "AE", number("D7", 1), number("73C5", 1), number("83", 2), element("86", b"A_PCM/INT/LIT"),
        compression, element("E1", *sound),
    )  # fmt: skip
    clusters = [element("1F43B675", number("E7", 300 * i), b) for i, b in enumerate(blocks)]
    info = element("1549A966", number("2AD7B1", 1_000_000))
    header = element("1A45DFA3", number("42F7", 1), element("4282", b"matroska"), number("4287", 4))
    return header + element("18538067", info, element("1654AE6B", track), *clusters)


PACKET = zlib.compress(bytes([128]) * 14_000_000, 9)


def compressed_matroska():
    """160 kB, 3.4 s. Three times as much took 2.4 GB."""
    return matroska(*[element("A3", b"\x81\0\0\x80" + PACKET)] * 12)


def laced_matroska():
    """2.7 MB: 200 packets of 14 MB in one block, which are all unpacked before the first is given."""
    return matroska(element("A3", b"\x81\0\0\x84" + bytes([199]) + PACKET * 200))


def indexed_m4a():
    """9 kB, whose tables say that it has 60 million packets."""
    content = bytearray(encoded(tone(2.0), 16_000, "ipod", codec="aac"))
    packets = 60_000_000
    struct.pack_into(">II", content, content.find(b"stsz") + 8, 1, packets)
    struct.pack_into(">III", content, content.find(b"stts") + 8, 1, packets, 1_024)
    struct.pack_into(">IIII", content, content.find(b"stsc") + 8, 1, 1, packets, 1)
    return bytes(content)


MEASURE = """
import resource, sys
from emotion2vec_edge.engine.audio.recording import Recording
from emotion2vec_edge.engine.audio import ffmpeg
from emotion2vec_edge.engine.errors import AudioError
limit = float(sys.argv[2]) or None
try:
    with Recording(sys.argv[1], max_seconds=limit) as recording:
        print(sum(map(len, recording.blocks())) / 16_000)
except AudioError as error:
    print(type(error).__name__, error)
ffmpeg.WORKERS.clear()
# ru_maxrss of a process starts with that of the one that started it: here, all of pytest.
with open("/proc/self/status") as status:
    print(next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM")))
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("limit", [0, 1])
@pytest.mark.parametrize("make", [compressed_matroska, laced_matroska, indexed_m4a])
def test_no_file_takes_more_than_the_budget(make, limit, tmp_path):
    path = tmp_path / "bomb"
    path.write_bytes(make())
    assert path.stat().st_size < 3 * MB
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path), str(limit)],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    outcome, own, worker = done.stdout.splitlines()
    if make is compressed_matroska and not limit:
        assert float(outcome) == pytest.approx(3.4, abs=0.1)
    else:
        assert "Error /" in outcome
    assert int(own) < 250
    assert int(worker) <= ffmpeg.MEMORY_BYTES // MB


# The files of a worker.


def answers(content, failing=None):
    source = sources.open_source(content)
    file = source.open()
    try:
        return list(ffmpeg_worker.answers(file, 4.0, 1 << 21))
    finally:
        source.close()


def test_the_answers_to_a_request(m4a):
    kinds = [kind for kind, _ in answers(m4a)]
    assert kinds == [ffmpeg_worker.HEADER, ffmpeg_worker.BLOCK, ffmpeg_worker.END]
    ((kind, content),) = answers(b"no audio at all" * 100)
    assert kind == ffmpeg_worker.FAILURE
    assert content.startswith(b'["open", "')


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize(("container", "codec"), [("ipod", "aac"), ("matroska", "aac")])
def test_a_disk_that_fails_under_ffmpeg(container, codec, share, monkeypatch, rng):
    noise = rng.uniform(-0.5, 0.5, 10 * 16_000).astype(np.float32)
    content = encoded(noise, 16_000, container, codec=codec)
    read = os.preadv

    def fail(descriptor, buffers, position):
        if position + len(buffers[0]) > share * len(content):
            raise OSError(5, "Input/output error")
        return read(descriptor, buffers, position)

    monkeypatch.setattr(os, "preadv", fail)
    assert answers(content)[-1] == (ffmpeg_worker.FAILURE, b'["read", "Input/output error"]')


@pytest.mark.parametrize("kind", ["fifo", "stream"])
def test_a_pipe_that_is_longer_than_what_is_held(kind, monkeypatch, tmp_path, no_idle):
    monkeypatch.setattr(sources, "PIPE_BYTES", 10_000)
    content = encoded(tone(5.0), 16_000, "WAV", subtype="PCM_16")
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=[content])
    writer.start()
    with contextlib.ExitStack() as stack:
        source = path
        if kind == "stream":  # an object without a descriptor that could be handed over
            source = io.BufferedReader(Stream(stack.enter_context(path.open("rb", buffering=0))))
        recording = stack.enter_context(Recording(source))
        assert not recording.rereadable
        assert recording.decoder == "ffmpeg"
        samples = np.concatenate(list(recording.blocks()))
    np.testing.assert_allclose(samples, tone(5.0), atol=1e-4)
    writer.join()


class Stream(io.RawIOBase):
    def __init__(self, file):
        self.file = file

    def readable(self):
        return True

    def readinto(self, buffer):
        return self.file.readinto(buffer)


# Workers.


def test_a_worker_is_used_again_and_ends_with_the_pool(m4a, no_idle):
    load_audio(m4a)
    (worker,) = ffmpeg.WORKERS._idle
    with pytest.raises(UndecodableAudioError):
        load_audio(b"no audio at all" * 100)
    load_audio(m4a)
    assert ffmpeg.WORKERS._idle == [worker]
    ffmpeg.WORKERS.clear()
    assert worker._process.returncode is not None


def test_recordings_may_be_open_at_the_same_time(m4a, no_idle):
    recordings = [Recording(m4a) for _ in range(6)]
    expected = load_audio(m4a).samples
    for recording in recordings:
        np.testing.assert_array_equal(np.concatenate(list(recording.blocks())), expected)
    assert len(ffmpeg.WORKERS._idle) == ffmpeg.MOST_IDLE
    for recording in recordings:
        recording.close()


def test_an_idle_worker_that_ended_is_replaced(m4a, no_idle):
    load_audio(m4a)
    (worker,) = ffmpeg.WORKERS._idle
    worker._process.kill()
    worker._process.wait()
    assert len(load_audio(m4a).samples) > 40_000
    assert ffmpeg.WORKERS._idle != [worker]


def test_a_worker_ends_when_nobody_asks():
    worker = ffmpeg.Worker()
    worker._answers.close()
    worker._socket.close()  # as the end of the process that asks does
    assert worker._process.wait(10) == 0
    settings = {"path": "", "memory": ffmpeg.MEMORY_BYTES, "block_seconds": 4, "block_values": 1}
    code = (
        "import runpy, sys; main = runpy.run_path(sys.argv.pop(1))['main'];"
        "main.__globals__['IDLE_SECONDS'] = 0.1; main()"
    )
    ours, theirs = socket.socketpair()
    with ours, theirs:
        subprocess.run(
            [sys.executable, "-I", "-c", code, ffmpeg_worker.__file__, json.dumps(settings)],
            stdin=theirs.fileno(), timeout=30, check=True,
        )  # fmt: skip


@pytest.mark.parametrize("seconds", [0.0, 4.0])
def test_a_worker_that_crashes(seconds, no_idle):
    content = encoded(tone(60.0), 16_000, "ipod", codec="aac")
    with Recording(content) as recording:
        blocks = recording.blocks()
        if seconds:
            next(blocks)
        recording_worker = workers_of_this_process()
        os.kill(recording_worker[0], signal.SIGSEGV)
        with pytest.raises(UndecodableAudioError, match=r"after .* s: its process ended"):
            list(blocks)
    assert workers_of_this_process() == []


def test_a_worker_that_hangs_is_given_up(monkeypatch, no_idle):
    content = encoded(tone(60.0), 16_000, "ipod", codec="aac")
    with Recording(content) as recording:
        monkeypatch.setattr(ffmpeg, "SILENT_SECONDS", 0.2)
        (worker,) = workers_of_this_process()
        os.kill(worker, signal.SIGSTOP)
        with pytest.raises(UndecodableAudioError, match="nothing came of it for 0.2 s"):
            list(recording.blocks())
    assert workers_of_this_process() == []


def test_a_recording_that_is_closed_early_ends_its_worker(no_idle):
    content = encoded(tone(60.0), 16_000, "ipod", codec="aac")
    with Recording(content) as recording:
        next(recording.blocks())
        assert len(workers_of_this_process()) == 1
    assert workers_of_this_process() == []


def workers_of_this_process():
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if (
                int(fields[1]) == os.getpid()
                and b"ffmpeg_worker" in (folder / "cmdline").read_bytes()
            ):
                found.append(int(folder.name))
    return found


def test_a_killed_process_leaves_no_worker(tmp_path, no_idle):
    path = tmp_path / "a.m4a"
    path.write_bytes(encoded(tone(60.0), 16_000, "ipod", codec="aac"))
    code = (
        "import sys, time; from emotion2vec_edge.engine.audio.recording import Recording\n"
        "recording = Recording(sys.argv[1]); worker = recording._reader._worker\n"
        "next(recording.blocks()); print(worker._process.pid, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE)
    worker = int(process.stdout.readline())
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 10
    while alive(worker) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(worker)


def alive(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_a_fork_does_not_use_the_workers_of_its_parent(m4a, no_idle):
    load_audio(m4a)
    (worker,) = ffmpeg.WORKERS._idle
    worker.owner = -1  # as a fork would see it
    assert ffmpeg.WORKERS.take() is None
    worker.end()


def test_no_ffmpeg(m4a, monkeypatch, no_idle):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UndecodableAudioError, match="FFmpeg .it is not installed; pip install av."):
        load_audio(m4a)
    monkeypatch.undo()
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(UndecodableAudioError, match="its process cannot be started"):
        load_audio(m4a)


def test_a_pipe_that_cannot_be_read_any_more(monkeypatch, no_idle):
    """A descriptor that fails in the worker."""
    file = ffmpeg_worker.PipeFile(-1, os.memfd_create("head"))
    assert file.read(10) == b""
    assert file.failure is not None
    assert list(ffmpeg_worker.answers(file, 4.0, 1 << 21))[-1][0] == ffmpeg_worker.FAILURE
    with pytest.raises(AudioReadError, match="x: cannot be read: lost"):
        raise ffmpeg.failure("x", "read", "lost")
