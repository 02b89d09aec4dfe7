"""Short runs are merged as a plain rule says, however many there are."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from emotion2vec_edge.engine.results.segments import Run, merge_short


def runs_of(labels):
    """Runs of equal labels."""
    cuts = np.flatnonzero(np.diff(labels)) + 1
    return [
        Run(int(a), int(b), int(labels[a]))
        for a, b in zip([0, *cuts], [*cuts, len(labels)], strict=True)
    ]


def merged_plainly(runs, borders, min_seconds):
    """The oracle: looks at all runs before each step."""

    def seconds(run):
        return round(float(borders[run.last] - borders[run.first]), 6)

    runs = list(runs)
    while len(runs) > 1:
        at = min(range(len(runs)), key=lambda i: seconds(runs[i]))
        if seconds(runs[at]) >= min_seconds:
            break
        sides = [runs[i] for i in (at - 1, at + 1) if 0 <= i < len(runs)]
        label = max(sides, key=seconds).label
        labels = np.concatenate(
            [[label if run is runs[at] else run.label] * (run.last - run.first) for run in runs]
        )
        runs = runs_of(labels)
    return runs


@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=50),
    steps=st.one_of(
        st.sampled_from([0.05, 0.1, 0.3, 0.5]).map(lambda step: [step] * 50),
        st.lists(st.floats(0.01, 1), min_size=50, max_size=50),
    ),
    shortest=st.floats(0, 6),
)
def test_merging_is_what_the_plain_rule_gives(labels, steps, shortest):
    borders = np.concatenate([[0.0], np.cumsum(steps[: len(labels)])])
    runs = runs_of(np.array(labels))
    assert merge_short(runs, borders, shortest) == merged_plainly(runs, borders, shortest)


@given(labels=st.lists(st.integers(0, 3), min_size=1, max_size=50), shortest=st.floats(0, 30))
def test_what_is_left_covers_everything_and_is_long_enough(labels, shortest):
    borders = 0.5 * np.arange(len(labels) + 1)
    found = merge_short(runs_of(np.array(labels)), borders, shortest)
    assert (found[0].first, found[-1].last) == (0, len(labels))
    for before, after in itertools.pairwise(found):
        assert before.last == after.first
        assert before.label != after.label
    if len(found) > 1:
        assert min(borders[run.last] - borders[run.first] for run in found) >= shortest
