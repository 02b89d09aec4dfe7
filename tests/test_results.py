"""Utterances, timelines and segments as values."""

import json

import numpy as np
import pytest

from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.results import AudioWarning, Segment, Timeline, Timings, Utterance


def utterance(**changes):
    fields = {
        "emotion": "sad",
        "confidence": 0.6,
        "scores": {"angry": 0.1, "sad": 0.6, "neutral": 0.3},
        "embedding": np.zeros(4, np.float32),
        "seconds": 2.0,
        "warnings": (AudioWarning("short", "too short"),),
        "timings": Timings(0.1, 0.2),
        "model": "m",
        "provider": "cpu",
    }
    return Utterance(**{**fields, **changes})


def timeline(emotions, hop=0.5, window=1.0):
    """A timeline over the labels a, b, c whose windows say `emotions`."""
    starts = hop * np.arange(len(emotions))
    scores = np.full((len(emotions), 3), 0.1, np.float32)
    scores[np.arange(len(emotions)), ["abc".index(e) for e in emotions]] = 0.8
    return Timeline(("a", "b", "c"), starts, starts + window, scores)


def test_top_is_sorted_and_as_long_as_asked():
    assert utterance().top(2) == [("sad", 0.6), ("neutral", 0.3)]
    assert len(utterance().top(9)) == 3
    with pytest.raises(OptionError):
        utterance().top(0)


def test_the_dict_form_is_json_with_the_known_fields():
    document = json.loads(json.dumps(utterance().to_dict()))
    assert document["emotion"] == "sad"
    assert document["top"][1] == {"emotion": "neutral", "confidence": 0.3}
    assert document["warnings"] == [{"code": "short", "message": "too short"}]


def test_a_timeline_is_a_sequence_of_windows():
    line = timeline("aab")
    assert len(line) == 3
    assert [window.emotion for window in line] == ["a", "a", "b"]
    assert line[-1].start == 1.0
    assert line[-1].end == 2.0
    assert line[-1].confidence == pytest.approx(0.8)
    assert [window.emotion for window in line[1:]] == ["a", "b"]
    with pytest.raises(IndexError):
        line[3]


def test_segments_merge_runs_and_meet_midway():
    segments = timeline("aabbb").segments()
    assert [(s.emotion, s.start, s.end) for s in segments] == [("a", 0.0, 1.25), ("b", 1.25, 3.0)]
    assert segments[0].confidence == pytest.approx(0.8)


def test_short_segments_join_the_longer_neighbour():
    line = timeline("aaaabcccccc")
    assert [s.emotion for s in line.segments()] == ["a", "b", "c"]
    merged = line.segments(min_seconds=0.6)
    assert [s.emotion for s in merged] == ["a", "c"]
    assert merged[0].end == merged[1].start
    assert merged[-1].end == 6.0


def test_segments_leave_one_however_short():
    (only,) = timeline("ab").segments(min_seconds=60)
    assert (only.start, only.end) == (0.0, 1.5)
    assert timeline("a").segments(min_seconds=60) == [Segment(0.0, 1.0, "a", pytest.approx(0.8))]
    with pytest.raises(OptionError):
        timeline("a").segments(min_seconds=-1)
