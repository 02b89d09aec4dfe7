"""Audio that arrives → windows and events: stalls, gaps, and their places in time."""

import threading

import numpy as np
import pytest

from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.streaming import live
from emotion2vec_edge.engine.streaming.events import SourceLost, SourceRestored, StreamEvent
from emotion2vec_edge.engine.streaming.sources.capture import CaptureBuffer, Lost, Restored

RATE = 16_000


def results(recognizer, *arrivals, window=1.0, hop=0.5):
    """Windows and events of arrivals: samples, or what happened to the source."""
    buffer = CaptureBuffer(RATE, live=False)
    for arrival in arrivals:
        if isinstance(arrival, np.ndarray):
            buffer.put(arrival, wait=False)
        else:
            buffer.note(arrival)
    buffer.end()
    stream = recognizer.stream(window=window, hop=hop)
    return list(live.live_results(stream, buffer, hop, pytest.fail))


def test_a_stall_is_told_once(monkeypatch):
    monkeypatch.setattr(live, "STALL_SECONDS", 0.01)
    buffer, told, alive = CaptureBuffer(RATE), [], []
    threading.Timer(0.2, lambda: buffer.put(np.zeros(10), wait=True)).start()
    assert len(live._take(buffer, told.append, lambda: alive.append(1))) == 1
    assert len(alive) > 2
    assert told == ["no audio for 0.01 s; waiting", "audio again"]


def test_a_gap_is_told_in_its_place_and_no_window_reaches_across_it(recognizer, example_samples):
    before, after = example_samples[: int(1.7 * RATE)], example_samples[RATE : 3 * RATE]
    found = results(recognizer, before, Lost("gone"), Restored(2.5, 3), after)
    events = [result for result in found if isinstance(result, StreamEvent)]
    assert events == [SourceLost(1.7, "gone"), SourceRestored(4.2, 2.5, 3)]
    times = [(result.start, result.end) for result in found if not isinstance(result, StreamEvent)]
    assert times == [(0.0, 1.0), (0.5, 1.5), (1.0, 1.7), (4.2, 5.2), (4.7, 5.7), (5.2, 6.2)]
    assert found.index(events[0]) == 3
    assert found.index(events[1]) == 4


def test_windows_after_a_gap_are_those_of_their_audio_alone(recognizer, example_samples):
    alone = results(recognizer, example_samples[: 2 * RATE])
    after = example_samples[: 2 * RATE]
    lost = results(recognizer, example_samples[RATE:], Lost("gone"), Restored(1.234, 1), after)
    assert [window.scores for window in lost[-3:]] == [result.scores for result in alone]


def test_a_gap_before_any_audio(recognizer, example_samples):
    found = results(recognizer, Lost("not there yet"), Restored(3.0, 2), example_samples[:RATE])
    assert [type(result) for result in found[:2]] == [SourceLost, SourceRestored]
    assert [(result.start, result.end) for result in found[2:]] == [(3.0, 4.0)]


def test_a_gap_that_cannot_be(recognizer):
    stream = recognizer.stream()
    with pytest.raises(OptionError, match="gap of -1"):
        stream.gap(-1)
    stream.flush()
    with pytest.raises(OptionError, match="flushed"):
        stream.gap(1)
