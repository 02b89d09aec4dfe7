"""Recordings shared out among workers, some of which die."""

from collections import deque

from emotion2vec_edge.engine.batch.handout import Handout
from emotion2vec_edge.engine.batch.inputs.input_file import InputFile


def handout(count, most_deaths=2):
    return Handout([InputFile(f"{i}", f"{i}") for i in range(count)], most_deaths)


def names(items):
    return [item.path for item in items]


def test_a_worker_gets_as_many_as_it_may_have():
    shared, hand = handout(5), deque()
    assert names(shared.give(hand, 3)) == ["0", "1", "2"]
    hand.popleft()
    assert names(shared.give(hand, 3)) == ["3"]
    assert names(hand) == ["1", "2", "3"]


def test_what_a_dead_worker_touched_is_given_alone():
    shared, hand = handout(4), deque()
    shared.give(hand, 3)
    assert list(shared.bury(hand, 1, "killed")) == []
    other = deque()
    assert names(shared.give(other, 4)) == ["3"], (
        "the one that is suspected waits for a free worker"
    )
    other.clear()
    assert names(shared.give(other, 4)) == ["0"], "and is given alone"
    other.clear()
    assert names(shared.give(other, 4)) == ["1", "2"]


def test_a_recording_that_workers_die_over_is_a_failure():
    shared = handout(1)
    for expected in (0, 1):
        hand = deque()
        shared.give(hand, 3)
        failures = list(shared.bury(hand, 1, "SIGSEGV"))
        assert len(failures) == expected
    assert failures[0].row.message == "0: a worker process died over it (SIGSEGV)"
    assert shared.pending() == 0


def test_what_was_not_touched_comes_first_again():
    shared, hand = handout(4), deque()
    shared.give(hand, 2)
    shared.take_back(hand)
    assert names(shared.give(deque(), 9)) == ["0", "1", "2", "3"]


def test_recordings_are_pulled_when_there_is_room_for_them():
    pulled = []
    shared = Handout((pulled.append(n) or InputFile(f"{n}", f"{n}") for n in range(9)), 2)
    assert shared.pending(3) == 3
    hand = deque()
    shared.give(hand, 4)
    assert pulled == [0, 1, 2, 3]
    shared.left -= 4
    assert shared.unfinished
    assert pulled == [0, 1, 2, 3, 4]
    shared.give(hand, 20)
    shared.left -= 5
    assert not shared.unfinished
