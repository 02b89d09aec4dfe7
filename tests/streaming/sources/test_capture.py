"""Audio that comes by itself, from a pipe or a recording, at its own pace."""

import io
import threading
import time

import numpy as np
import pytest
from recordings import encoded

from emotion2vec_edge.engine.audio.riff import PcmFormat, read_wav_header
from emotion2vec_edge.engine.errors import (
    AudioError,
)
from emotion2vec_edge.engine.streaming.sources.capture import CaptureBuffer, start_pipe


def received(content, format_=None):
    """Everything that a pipe with this content gives."""
    pipe = io.BufferedReader(io.BytesIO(content))
    head = b""
    if format_ is None:
        format_ = read_wav_header(pipe)
    arrivals = CaptureBuffer(format_.rate)
    start_pipe(pipe, format_, head, arrivals)
    pieces = []
    while (more := arrivals.take(5.0)) is not None:
        pieces += [piece.samples for piece in more]
    return format_, np.concatenate(pieces)


def test_a_wav_in_a_pipe():
    samples = np.random.default_rng(0).uniform(-0.9, 0.9, (5_000, 2)).astype(np.float32)
    content = encoded(samples, 8_000, "WAV", subtype="PCM_16")
    format_, found = received(content + b"LIST of no samples")
    assert (format_.rate, format_.channels, format_.sample_format) == (8_000, 2, "s16le")
    assert found.shape == (5_000, 2)
    np.testing.assert_allclose(found / 2**15, samples, atol=1e-4)


def test_a_wav_whose_sender_did_not_know_its_length():
    content = bytearray(encoded(np.ones(1_000, np.float32), 16_000, "WAV", subtype="PCM_16"))
    content[40:44] = (0xFFFFFFFF).to_bytes(4, "little")
    _, found = received(bytes(content))
    assert len(found) == 1_000


def test_raw_samples_may_come_in_any_portions():
    class Portions:
        def __init__(self, content, sizes):
            self.content = content
            self.sizes = sizes

        def read1(self, most):
            size = min(most, next(self.sizes, 1_000))
            piece, self.content = self.content[:size], self.content[size:]
            return piece

    samples = np.arange(3_000, dtype="<i2").reshape(-1, 2)
    arrivals = CaptureBuffer(16_000)
    pipe = Portions(samples.tobytes(), iter([1, 2, 3, 5, 7, 11, 13] * 20))
    start_pipe(pipe, PcmFormat(16_000, 2), b"", arrivals)
    pieces = []
    while (more := arrivals.take(5.0)) is not None:
        pieces += [piece.samples for piece in more]
    np.testing.assert_array_equal(np.concatenate(pieces), samples)


def test_a_fast_source_is_a_file_and_a_slow_one_is_live(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    file, speaker = CaptureBuffer(1_000), CaptureBuffer(1_000)
    for _ in range(100):
        file.put(np.zeros(100), wait=False)
        clock[0] += 0.05
    for _ in range(100):
        speaker.put(np.zeros(100), wait=False)
        clock[0] += 0.1
    assert not file.live
    assert speaker.live
    assert not CaptureBuffer(1_000, live=False).live
    assert CaptureBuffer(1_000, live=True).live


def test_a_sender_waits_while_too_much_is_untaken():
    arrivals = CaptureBuffer(1_000)
    sent = []

    def send():
        for number in range(30):
            arrivals.put(np.zeros(1_000), wait=True)
            sent.append(number)
        arrivals.end()

    threading.Thread(target=send, daemon=True).start()
    time.sleep(0.3)
    assert len(sent) == 11  # ten seconds, and the piece that went over them
    taken = 0
    while (pieces := arrivals.take(5.0)) is not None:
        taken += len(pieces)
    assert taken == 30


def test_nothing_for_a_while_and_the_end():
    arrivals = CaptureBuffer(1_000)
    assert arrivals.take(0.01) == []
    arrivals.put(np.zeros(10), wait=True)
    arrivals.end(AudioError("unplugged"))
    assert len(arrivals.take(0.01)) == 1
    with pytest.raises(AudioError, match="unplugged"):
        arrivals.take(0.01)
