"""Timelines: a sequence of windows, and its segments."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.results.timeline import Timeline
from emotion2vec_edge.engine.results.types import Segment


def timeline(emotions, hop=0.5, window=1.0):
    """A timeline over the labels a, b, c whose windows say `emotions`."""
    starts = hop * np.arange(len(emotions))
    scores = np.full((len(emotions), 3), 0.1, np.float32)
    scores[np.arange(len(emotions)), ["abc".index(e) for e in emotions]] = 0.8
    return Timeline(("a", "b", "c"), starts, starts + window, scores)


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


@given(
    emotions=st.text("abc", min_size=1, max_size=40),
    hop=st.sampled_from([0.5, 0.3]),
    shortest=st.floats(0, 5),
)
def test_segments_merge_as_the_plain_rule_says(emotions, hop, shortest):
    """Of all runs the shortest goes to the longer of its neighbours, until none is too short."""
    line = timeline(emotions, hop)
    runs = [[s.start, s.end, s.emotion] for s in line.segments()]
    while len(runs) > 1:
        at = min(range(len(runs)), key=lambda i: round(runs[i][1] - runs[i][0], 9))
        if runs[at][1] - runs[at][0] >= shortest:
            break
        sides = [i for i in (at - 1, at + 1) if 0 <= i < len(runs)]
        runs[at][2] = runs[max(sides, key=lambda i: round(runs[i][1] - runs[i][0], 9))][2]
        joined = [runs[0]]
        for run in runs[1:]:
            if run[2] == joined[-1][2]:
                joined[-1][1] = run[1]
            else:
                joined.append(run)
        runs = joined
    found = line.segments(min_seconds=shortest)
    assert [[s.start, s.end, s.emotion] for s in found] == runs


def test_segments_of_an_hour_take_no_time():
    rng = np.random.default_rng(0)
    line = timeline("".join(rng.choice(list("abc"), 72_000)), 0.05, 0.1)
    found = line.segments(min_seconds=1.0)
    assert found[0].start == 0.0
    assert found[-1].end == pytest.approx(3600.05)
    assert min(s.end - s.start for s in found) >= 1.0 - 1e-6


def test_segments_leave_one_however_short():
    (only,) = timeline("ab").segments(min_seconds=60)
    assert (only.start, only.end) == (0.0, 1.5)
    assert timeline("a").segments(min_seconds=60) == [Segment(0.0, 1.0, "a", pytest.approx(0.8))]
    with pytest.raises(OptionError):
        timeline("a").segments(min_seconds=-1)


@given(
    scores=st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 3), min_size=1, max_size=20),
    limit=st.floats(0.01, 1),
)
@example(scores=[(0.0, float(np.float32(0.01)), 0.0)], limit=0.01)  # nearest float32, below 0.01
def test_segments_name_what_the_windows_name(scores, limit):
    """Also where windows are rejected: the runs are those of the windows' own answers."""
    array = np.array(scores, np.float32)
    starts = 0.5 * np.arange(len(array))
    line = Timeline(("a", "b", "unknown"), starts, starts + 0.5, array, limit)
    emotions = [window.emotion for window in line]
    runs = [e for i, e in enumerate(emotions) if i == 0 or e != emotions[i - 1]]
    assert [segment.emotion for segment in line.segments()] == runs
    for limited in (line, Timeline(("a", "b", "c"), starts, starts + 0.5, array, limit)):
        (window, *_), (segment, *_) = limited, limited.segments()
        assert window.emotion == segment.emotion
