"""Decoding in threads ahead of the encoder: order, bounds, endings."""

import itertools
import os
import threading
import time

import numpy as np
import pytest

from emotion2vec_edge.engine.audio import ahead
from emotion2vec_edge.engine.audio.ahead import DecodeAhead
from emotion2vec_edge.engine.audio.normalized import NormalizedRecording
from emotion2vec_edge.engine.audio.recording import Recording


def read(source):
    """A recording of ``source`` hundreds of samples."""
    if source < 0:
        raise ValueError(source)
    return NormalizedRecording(Recording(np.zeros(100 * source, np.float32), 16_000))


def counts(results):
    return [
        str(result) if isinstance(result, Exception) else result.meter.count // 100
        for result in results
    ]


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("most", [1, 3])
def test_recordings_come_in_the_order_of_their_sources(threads, most):
    sources = [5, 6, -1, 7, 8, -2, 9]
    found = []
    with DecodeAhead(sources, read, threads=threads, ahead=4) as decoded:
        while group := decoded.take(most):
            assert len(group) <= most
            found += counts(group)
        assert decoded.take(most) == []
    assert found == [5, 6, "-1", 7, 8, "-2", 9]


def test_only_a_bounded_number_is_pulled():
    pulled = itertools.count(5)
    with DecodeAhead(pulled, read, threads=2, ahead=3) as decoded:
        assert counts(decoded.take(1)) == [5]
        time.sleep(0.05)
        assert next(pulled) <= 10  # one was taken, three are ahead


def test_a_source_that_waits_for_a_result():
    answered = threading.Semaphore()

    def sources():
        for number in (5, 6, 7):
            answered.acquire()
            yield number

    found = []
    with DecodeAhead(sources(), read, threads=4, ahead=8) as decoded:
        while group := decoded.take(8):
            found.append(counts(group))
            answered.release()
    assert found == [[5], [6], [7]]


def test_what_the_sources_raise_comes_after_what_came_before():
    def sources():
        yield 5
        yield 6
        raise KeyError("broken")

    with DecodeAhead(sources(), read, threads=2, ahead=4) as decoded:
        found = counts(decoded.take(1)) + counts(decoded.take(1))
        with pytest.raises(KeyError, match="broken"):
            decoded.take(1)
    assert found == [5, 6]


def test_closing_closes_what_was_not_taken(monkeypatch):
    opened, closed = [], []

    def close(recording):
        closed.append(recording)

    monkeypatch.setattr(NormalizedRecording, "close", close)

    def counting(source):
        opened.append(read(source))
        return opened[-1]

    with DecodeAhead(itertools.repeat(5), counting, threads=2, ahead=6) as decoded:
        (taken,) = decoded.take(1)
        while len(opened) < 7:
            time.sleep(0.001)
    assert len(opened) == 7
    # Two threads finish in any order.
    assert set(map(id, closed)) == {id(recording) for recording in opened} - {id(taken)}
    assert len(closed) == 6


@pytest.mark.parametrize("blocked", ["source", "file"])
def test_closing_does_not_wait_for_what_blocks(tmp_path, monkeypatch, blocked):
    monkeypatch.setattr(ahead, "CLOSE_SECONDS", 0.05)
    closed, release = [], threading.Event()

    def close(recording):
        closed.append(recording)

    monkeypatch.setattr(NormalizedRecording, "close", close)

    def sources():
        yield 5
        if blocked == "source":
            release.wait()
        yield 6

    def slow(source):
        if blocked == "file" and source == 6:
            release.wait()
        return read(source)

    decoded = DecodeAhead(sources(), slow, threads=1, ahead=2)
    assert counts(decoded.take(1)) == [5]
    started = time.monotonic()
    decoded.close()
    assert time.monotonic() - started < 1.0
    assert closed == []
    release.set()
    deadline = time.monotonic() + 10
    while any(thread.name == "decode-ahead" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert counts(closed) == ([6] if blocked == "file" else [])


def test_a_process_ends_although_a_source_blocks(tmp_path):
    import subprocess
    import sys

    os.mkfifo(tmp_path / "fifo.wav")
    script = (
        "import sys\n"
        "from emotion2vec_edge.engine.audio.ahead import DecodeAhead\n"
        "from emotion2vec_edge.engine.audio.recording import Recording\n"
        f"decoded = DecodeAhead([{str(tmp_path / 'fifo.wav')!r}], Recording, threads=1, ahead=2)\n"
        "decoded.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert done.returncode == 0
