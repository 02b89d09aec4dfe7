"""Things made for the steps of a training, ahead of them."""

import threading

import pytest
import torch

from emotion2vec_edge.export.finetune.training.ahead import Ahead, spare_threads


@pytest.mark.parametrize("threads", [0, 1, 4])
def test_each_step_gets_its_own(threads):
    ahead = Ahead(lambda step: step * step, threads)
    assert [ahead[step] for step in (0, 1, 2, 3, 9, 10, 4)] == [0, 1, 4, 9, 81, 100, 16]


def test_later_steps_are_made_at_the_same_time():
    both = threading.Barrier(2, timeout=30)
    made = []

    def make(step):
        if step < 2:
            both.wait()
        made.append(step)
        return step

    ahead = Ahead(make, 2)
    assert (ahead[0], ahead[1], ahead[2]) == (0, 1, 2)
    assert made.count(0) == made.count(1) == made.count(2) == 1


def test_an_error_is_of_the_step_that_it_belongs_to():
    def make(step):
        if step == 2:
            raise ValueError("two")
        return step

    ahead = Ahead(make, 2)
    assert [ahead[0], ahead[1]] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        ahead[2]


def test_processors_that_train_are_left_alone():
    assert spare_threads(torch.device("cpu")) == 0
    assert spare_threads(torch.device("meta")) >= 1
