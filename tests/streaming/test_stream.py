"""Audio that arrives in pieces: its windows, how near they are to the file, what it costs to hold."""

import dataclasses
import gc
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion2vec_edge.engine import example_recordings, load_audio
from emotion2vec_edge.engine.errors import InvalidSamplesError, NoHeadError, OptionError
from emotion2vec_edge.engine.results.pooling import window_spans
from emotion2vec_edge.engine.runtime.sequential import SequentialModel
from emotion2vec_edge.engine.streaming.stream import Stream

LABELS = ("a", "b")


class Sessions:
    """Both sessions of a model that takes no time: a frame is the mean of its samples, its logits
    are that and its negative."""

    def run(self, _, feeds):
        if "waveform" in feeds:
            wave = feeds["waveform"][0]
            frames = (len(wave) - 400) // 320 + 1
            return [
                np.stack([wave[i * 320 :][:400].mean(keepdims=True) for i in range(frames)])[None]
            ]
        features = feeds["features"]
        return [features, np.concatenate([features, -features], axis=2)]


@pytest.fixture(scope="session")
def fake(recognizer):
    audio = dataclasses.replace(recognizer.encoder.audio, normalize=False)
    return lambda **settings: Stream(
        SequentialModel(Sessions(), Sessions(), audio), LABELS, **settings
    )


def alone(recognizer, samples, window):
    first, last = (round(16_000 * at) for at in (window.start, window.end))
    return recognizer.recognize(samples[first:last], 16_000)


@pytest.fixture(scope="session")
def speech():
    return np.concatenate([load_audio(path).samples for path in example_recordings()])


@pytest.mark.parametrize("size", [160, 1_600, 7_919, 10**6])
def test_windows_come_in_time_and_are_those_alone(recognizer, speech, size):
    stream = recognizer.stream()
    windows = []
    for first in range(0, len(speech), size):
        windows += stream.push(speech[first : first + size])
    windows += stream.flush()
    seconds = len(speech) / 16_000
    starts, ends = window_spans(seconds, 2.0, 0.5, recognizer.encoder.audio)
    np.testing.assert_allclose([w.start for w in windows], starts)
    np.testing.assert_allclose([w.end for w in windows], ends)
    for window in windows:
        expected = alone(recognizer, speech, window)
        assert window.scores == pytest.approx(expected.scores, abs=1e-6)
        assert window.latency >= 0


@settings(deadline=None, max_examples=60)
@given(
    window=st.floats(0.025, 1.5),
    hop=st.floats(0.02, 2.0),
    sizes=st.lists(st.integers(1, 9_000), min_size=1, max_size=12),
)
def test_any_window_hop_and_pieces_give_what_encoding_alone_gives(fake, window, hop, sizes):
    samples = np.random.default_rng(0).normal(size=sum(sizes)).astype(np.float32)
    stream = fake(window=window, hop=hop)
    windows, first = [], 0
    for size in sizes:
        windows += stream.push(samples[first : first + size])
        first += size
    windows += stream.flush()
    spans = [(round(w.start * 16_000), round(w.end * 16_000)) for w in windows]
    assert all(start % 320 == 0 for start, _ in spans)
    assert spans == sorted(set(spans))
    for w, (start, end) in zip(windows, spans, strict=True):
        piece = samples[start:end]
        frames = np.array(
            [piece[i * 320 :][:400].mean() for i in range((len(piece) - 400) // 320 + 1)]
        )
        odds = 2 * frames.mean(dtype=np.float64)
        assert w.scores["a"] == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-5)
    if len(samples) >= 400:
        assert windows


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_other_rates(recognizer, speech, rate):
    import soxr

    there = soxr.resample(speech, 16_000, rate, quality="VHQ")
    samples = load_audio(there, rate).samples
    stream = recognizer.stream(rate=rate)
    windows = []
    for first in range(0, len(there), rate // 10):
        stereo = np.stack([there[first : first + rate // 10]] * 2, axis=1)
        windows += stream.push((stereo * 32_767).astype(np.int16))
    windows += stream.flush()
    assert len(windows) == len(
        window_spans(len(samples) / 16_000, 2.0, 0.5, recognizer.encoder.audio)[0]
    )
    for window in windows:
        expected = alone(recognizer, samples, window)
        assert window.scores == pytest.approx(expected.scores, abs=0.03)


def test_a_stream_over_a_source(recognizer, speech):
    blocks = [speech[i : i + 3_200] for i in range(0, 80_000, 3_200)]
    with recognizer.stream(blocks) as stream:
        ends = [window.end for window in stream]
    assert ends == [2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0]
    with pytest.raises(OptionError, match="flushed"):
        stream.push(speech)
    with pytest.raises(OptionError, match="without a source"):
        list(recognizer.stream())


def test_a_stream_shorter_than_a_window(recognizer, speech):
    stream = recognizer.stream()
    assert stream.push(speech[:10_000]) == []
    (window,) = stream.flush()
    assert (window.start, window.end) == (0.0, 0.625)
    assert stream.flush() == []
    short = recognizer.stream()
    short.push(speech[:399])
    assert short.flush() == []


def test_windows_that_are_left_out_are_counted(fake):
    stream = fake(window=1.0, hop=0.5)
    stream.feed(np.ones(16_000 * 5, np.float32))
    windows = list(stream.ready(newest=2))
    assert [(w.start, w.skipped) for w in windows] == [(3.5, 7), (4.0, 0)]
    stream.feed(np.ones(8_000, np.float32))
    assert [(w.start, w.skipped) for w in stream.ready(newest=2)] == [(4.5, 0)]


def test_a_slow_machine_never_falls_further_behind(fake):
    """Each window takes as long as three hops: what waits stays bounded."""
    stream = fake(window=1.0, hop=0.5)
    heard = 0.0
    behind = []
    arriving = 0.5
    for _ in range(200):
        stream.feed(np.ones(round(16_000 * arriving), np.float32))
        heard += arriving
        ends = [window.end for window in stream.ready(newest=2)]
        arriving = max(0.5, 1.5 * len(ends))  # what comes in the meantime
        behind += [heard + 1.5 * (number + 1) - end for number, end in enumerate(ends)]
    assert max(behind) <= 4.0
    assert max(behind[100:]) <= max(behind[:100])


def test_latency_counts_from_the_arrival(fake):
    import time

    stream = fake(window=1.0, hop=0.5)
    now = time.perf_counter()
    stream.feed(np.ones(16_000, np.float32), arrived=now - 5.0)
    stream.feed(np.ones(8_000, np.float32), arrived=now - 1.0)
    first, second = stream.ready()
    assert first.latency == pytest.approx(5.0, abs=0.5)
    assert second.latency == pytest.approx(1.0, abs=0.5)


def test_silence_is_said(recognizer):
    stream = recognizer.stream()
    (window,) = stream.push(np.zeros(32_000, np.float32))
    assert window.silent
    assert np.isfinite(list(window.scores.values())).all()
    assert window.to_dict()["silent"] is True


def test_bad_samples_leave_the_stream_as_it_was(fake, speech):
    stream, calm = fake(), fake()
    stream.push(speech[:20_000])
    bad = speech[:1_000].copy()
    bad[500] = np.nan
    with pytest.raises(InvalidSamplesError, match=r"1\.281 s is NaN"):
        stream.push(bad)
    long = np.resize(speech, 160_000)
    long[144_000] = np.nan
    with pytest.raises(InvalidSamplesError, match=r"10\.250 s is NaN"):
        stream.push(long)
    assert stream.seconds == 1.25
    with pytest.raises(InvalidSamplesError, match="dtype"):
        stream.push(np.zeros(100, np.int64))
    calm.push(speech[:20_000])
    (ours,), (theirs,) = (s.push(speech[20_000:36_000]) for s in (stream, calm))
    assert ours.scores == theirs.scores


def test_samples_that_overflow_in_the_resampler_are_refused(fake, speech):
    stream, calm = fake(rate=44_100), fake(rate=44_100)
    stream.push(speech[:60_000])
    loud = speech[:4_410].astype(np.float64)
    for value in (1e37, 1e300, -3e38):
        loud[4_000] = value
        with pytest.raises(InvalidSamplesError, match="a sample at"):
            stream.push(loud)
    calm.push(speech[:60_000])
    (ours,), (theirs,) = (s.push(speech[60_000:90_000]) for s in (stream, calm))
    assert ours.scores == theirs.scores
    assert np.isfinite(list(ours.scores.values())).all()


def test_what_a_stream_cannot_be(recognizer):
    for arguments in (
        {"window": 0.0},
        {"window": 31.0},
        {"hop": 0.0},
        {"hop": 0.01},
        {"window": float("nan")},
    ):
        with pytest.raises(OptionError):
            recognizer.stream(**arguments)
    for rate in (0, 10**7, 16_000.5):
        with pytest.raises(InvalidSamplesError):
            recognizer.stream(rate=rate)
    with pytest.raises(InvalidSamplesError, match="no channel 1"):
        recognizer.stream(channel=1).push(np.zeros(100, np.float32))
    headless = dataclasses.replace(recognizer, bundle=dataclasses.replace(
        recognizer.bundle, manifest=dataclasses.replace(recognizer.bundle.manifest, labels=())))  # fmt: skip
    with pytest.raises(NoHeadError):
        headless.stream()


@pytest.mark.slow
def test_a_day_takes_no_more_memory_than_a_minute(fake):
    stream = fake()
    block = np.random.default_rng(0).normal(size=8_000).astype(np.float32)

    def held_after(seconds):
        for _ in range(2 * seconds):
            stream.push(block)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        minute = held_after(60)
        hour = held_after(3_600)
    finally:
        tracemalloc.stop()
    assert hour - minute < 100_000
