"""Timing is checked against sleeps and numpy."""

import contextlib
import time

import numpy as np

from emotion2vec_edge.benchmarks.instruments import timing
from emotion2vec_edge.benchmarks.instruments.timing import in_turns, interleaved, percentiles, ratio


def test_a_sleep_is_measured_as_what_it_sleeps():
    (runs,) = interleaved([lambda: time.sleep(0.02)], 5)
    assert len(runs) == 5
    assert min(runs) >= 0.02
    assert np.median(runs) < 0.04


def test_tasks_take_turns_and_warm_up_is_left_out():
    order = []
    runs = interleaved([lambda: order.append("a"), lambda: order.append("b")], 3)
    assert "".join(order) == "abababab"
    assert [len(run) for run in runs] == [3, 3]


def test_a_slow_first_call_does_not_count():
    calls = []

    def task():
        time.sleep(0.0 if calls else 0.2)
        calls.append(1)

    (runs,) = interleaved([task], 3)
    assert max(runs) < 0.1


def test_percentiles_are_those_of_numpy(rng):
    runs = rng.exponential(size=101)
    assert percentiles(runs) == tuple(np.percentile(runs, [50, 90, 99]))


def test_a_ratio_is_of_the_rounds():
    """What slows a whole round does not move it."""
    fast = np.array([1.0, 1.0, 5.0, 1.0, 1.0])
    found = ratio(3 * fast, fast)
    assert (found.median, found.low, found.high) == (3.0, 3.0, 3.0)
    assert str(ratio([2.0, 4.0, 6.0], [1.0, 1.0, 1.0])) == "4.00 [3.00, 5.00]"


def test_each_input_is_given_in_each_surrounding(monkeypatch):
    """Also once before it counts, because what runs may adapt to its surroundings."""
    monkeypatch.setattr(timing, "ADAPTING_SECONDS", 0)
    told = []

    @contextlib.contextmanager
    def loud():
        told.append("(")
        yield
        told.append(")")

    tasks = [lambda given: told.append(f"a{given}"), lambda given: told.append(f"b{given}")]
    runs = in_turns(tasks, [0, 1, 2], [contextlib.nullcontext, loud])
    assert "".join(told) == "".join(f"{2 * once}({2 * once})" for once in ("a0b0", "a1b1", "a2b2"))
    assert [len(run) for run in runs] == [2, 2, 2, 2]


def test_runs_belong_to_their_task_and_surrounding():
    slow = {"now": False}

    @contextlib.contextmanager
    def loaded():
        slow["now"] = True
        yield
        slow["now"] = False

    tasks = [lambda _: time.sleep(0.05 if slow["now"] else 0.0), lambda _: time.sleep(0.02)]
    quick, steady, slowed, steady_too = in_turns(tasks, range(3), [contextlib.nullcontext, loaded])
    assert max(quick) < 0.05 <= min(slowed)
    assert min(steady + steady_too) >= 0.02
