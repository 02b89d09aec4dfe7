"""The facts of the machine."""

import dataclasses

from emotion2vec_edge.benchmarks.instruments import machine


def test_a_busy_machine_is_told():
    quiet = dataclasses.replace(machine.describe(), busy=0.02)
    assert not any("NOT A QUIET" in line for line in quiet.lines())
    assert any("NOT A QUIET" in line for line in dataclasses.replace(quiet, busy=0.3).lines())
