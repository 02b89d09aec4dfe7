"""Alert rules: hysteresis, durations and quiet time, by example and for any sequence of levels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion2vec_edge.engine.alerts.rules import (
    AlertEnd,
    AlertStart,
    Rule,
    RuleState,
    Watch,
    rules_for,
)
from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.streaming.events import SourceLost, SourceRestored
from emotion2vec_edge.engine.streaming.stream import StreamWindow

HOP = 0.5


def rule(**changes):
    return Rule(
        **{"name": "upset", "emotions": ("angry", "sad"), "enter": 0.6, "leave": 0.4, **changes}
    )


def steps_of(one, levels):
    state = RuleState(one)
    return [step for n, level in enumerate(levels) for step in state.update((n + 1) * HOP, level)]


def events_of(one, levels):
    return [step.event for step in steps_of(one, levels) if step.event is not None]


def test_without_durations():
    start, end = events_of(rule(), [0.5, 0.7, 0.9, 0.5, 0.4, 0.3])
    assert start == AlertStart(1.0, "upset", ("angry", "sad"), 0.7, 1.0)
    assert end == AlertEnd(3.0, "upset", ("angry", "sad"), 1.0, 2.0, 0.9, "left")


def test_the_level_has_to_stay():
    one = rule(enter_for=1.0, leave_for=1.0)
    levels = [0.7, 0.7, 0.5, 0.7, 0.7, 0.7, 0.3, 0.3, 0.5, 0.3, 0.3, 0.3]
    found = [(step.kind, step.time) for step in steps_of(one, levels)]
    assert found == [
        ("reached", 0.5), ("fell back", 1.5), ("reached", 2.0), ("start", 3.0),
        ("below", 3.5), ("returned", 4.5), ("below", 5.0), ("end", 6.0),
    ]  # fmt: skip


def test_quiet_time_is_told_once_and_then_over():
    one = rule(quiet=2.0)
    found = [(step.kind, step.time) for step in steps_of(one, [0.7, 0.1] + 6 * [0.8])]
    assert found == [
        ("reached", 0.5), ("start", 0.5), ("end", 1.0), ("reached", 1.5), ("quiet", 1.5), ("start", 3.0),
    ]  # fmt: skip


LEVELS = st.lists(st.floats(0, 1), max_size=60)
RULES = st.builds(
    lambda enter, share, enter_for, leave_for, quiet: rule(
        enter=enter, leave=enter * share, enter_for=enter_for * HOP, leave_for=leave_for * HOP, quiet=quiet * HOP
    ),
    st.floats(0.05, 1), st.floats(0, 1), *(st.integers(0, 8) for _ in range(3)),
)  # fmt: skip


@given(RULES, LEVELS)
def test_alerts_start_and_end_in_turns_and_are_as_long_as_the_rule_says(one, levels):
    events = events_of(one, levels)
    kinds = [type(event) for event in events]
    assert kinds == ([AlertStart, AlertEnd] * len(events))[: len(events)]
    for start in events[::2]:
        last = round(start.time / HOP)
        first = last - round(one.enter_for / HOP)
        assert all(level >= one.enter - 1e-5 for level in levels[first - 1 : last])
    for end in events[1::2]:
        last = round(end.time / HOP)
        first = last - round(one.leave_for / HOP)
        assert all(level < one.leave for level in levels[first - 1 : last])
        assert end.peak == max(levels[round(end.started / HOP) - 1 : last])
    for end, start in zip(events[1::2], events[2::2], strict=False):
        assert start.time >= end.time + one.quiet - 1e-5


@given(st.floats(0.1, 1), st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_a_level_between_the_two_changes_nothing(enter, shares):
    """No flapping: whatever moves between leave and enter neither starts nor ends an alert."""
    leave = enter / 2
    between = [leave + share * (enter - leave) * 0.99 for share in shares]
    one = rule(enter=enter, leave=leave)
    assert events_of(one, between) == []
    assert len(events_of(one, [enter, *between])) == 1


@given(RULES, LEVELS)
def test_a_rule_that_asks_for_more_time_starts_no_more_alerts(one, levels):
    longer = rule(
        enter=one.enter, leave=one.leave, enter_for=one.enter_for + HOP, leave_for=one.leave_for, quiet=one.quiet
    )  # fmt: skip
    first = next((e.time for e in events_of(one, levels)), None)
    later = next((e.time for e in events_of(longer, levels)), None)
    assert later is None or first < later


def window(end, silent=False, **scores):
    emotion = max(scores, key=scores.get)
    return StreamWindow(end - 1.0, end, emotion, scores[emotion], scores, silent, 0, 0.01)


def test_windows_silence_gaps_and_the_end():
    watch = Watch([rule()], ["angry", "sad", "happy"])
    loud = {"angry": 0.5, "sad": 0.2, "happy": 0.3}
    kinds = []
    for result in (
        window(1.0, **loud), window(1.5, silent=True, **loud), window(2.0, **loud), SourceLost(2.2, "gone"),
        SourceRestored(4.0, 1.8, 1), window(5.0, **loud),
    ):  # fmt: skip
        kinds += [step.event.to_dict() for step in watch.feed(result) if step.event]
    kinds += [step.event.to_dict() for step in watch.end(5.5) if step.event]
    assert [(event["event"], event["time"], event.get("reason")) for event in kinds] == [
        ("alert.start", 1.0, None), ("alert.end", 1.5, "left"), ("alert.start", 2.0, None),
        ("alert.end", 2.2, "lost"), ("alert.start", 5.0, None), ("alert.end", 5.5, "ended"),
    ]  # fmt: skip


def test_a_gap_begins_the_time_anew():
    state = RuleState(rule(enter_for=1.0))
    assert [step.kind for step in state.update(1.0, 0.9)] == ["reached"]
    assert list(state.interrupt(1.2, "lost")) == []
    assert [step.kind for step in state.update(2.5, 0.9)] == ["reached"]


def test_labels_that_the_model_does_not_have():
    with pytest.raises(
        OptionError, match="rule 'upset': 'sad' is no label of this model; give angry, happy"
    ):
        Watch([rule()], ["angry", "happy"])


def test_rules_are_for_the_sources_that_they_name():
    everywhere, door = rule(), rule(sources=("door", "hall"))
    assert rules_for([everywhere, door], "hall") == [everywhere, door]
    assert rules_for([everywhere, door], "yard") == [everywhere]


def test_in_words():
    one = rule(enter_for=3.0, quiet=60.0)
    assert one.text() == (
        "upset: an alert starts at angry + sad ≥ 60% for 3.00 s, and ends below 40%; then none for 60.0 s"
    )
    start, end = events_of(rule(), [0.7, 0.1])
    assert start.text() == "ALERT upset at 0.5 s: angry + sad 70%"
    assert end.text() == "end of upset at 1.0 s (left), after 0.50 s, peak 70%"
