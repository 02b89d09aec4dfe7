"""Denormals count as zero while a model runs, and as what they are everywhere else."""

from __future__ import annotations

import platform
import sys
import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.engine.runtime.denormals import denormals_as_zero

switched = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64",
    reason="the processor's switch is used on x86-64 Linux alone",
)


def halved_denormal() -> float:
    """A number so small that half of it is a denormal, halved by the processor."""
    smallest: NDArray[np.float32] = np.full(64, np.finfo(np.float32).tiny, np.float32)
    return float((smallest * np.float32(0.5))[0])


@switched
def test_denormals_are_zero_inside_and_themselves_outside() -> None:
    assert halved_denormal() > 0
    with denormals_as_zero():
        assert halved_denormal() == 0
        with denormals_as_zero():
            assert halved_denormal() == 0
        assert halved_denormal() == 0
    assert halved_denormal() > 0


@switched
def test_an_error_inside_leaves_nothing_behind() -> None:
    with pytest.raises(ValueError, match="inside"), denormals_as_zero():
        raise ValueError("inside")
    assert halved_denormal() > 0


def test_neither_loading_nor_running_changes_the_callers_thread() -> None:
    recognizer = Recognizer.load()
    assert halved_denormal() > 0
    recognizer.recognize(np.random.default_rng(0).standard_normal(16_000), 16_000)
    assert halved_denormal() > 0


def test_a_thread_that_was_there_before_the_model_gets_the_same_answer() -> None:
    ready = threading.Event()
    answers: list[dict[str, float]] = []
    noise = np.random.default_rng(0).standard_normal(16_000)

    def wait_and_ask() -> None:
        ready.wait()
        answers.append(recognizer.recognize(noise, 16_000).scores)
        assert halved_denormal() > 0

    thread = threading.Thread(target=wait_and_ask)
    thread.start()
    recognizer = Recognizer.load()
    ready.set()
    thread.join()
    assert answers == [recognizer.recognize(noise, 16_000).scores]
