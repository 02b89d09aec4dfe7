"""Fixtures of the benchmarks: the command, and a machine that is not watched for a second."""

import pytest
from click.testing import CliRunner

from emotion2vec_edge.benchmarks.cli import bench
from emotion2vec_edge.benchmarks.instruments import machine


@pytest.fixture(autouse=True)
def _do_not_watch(monkeypatch):
    monkeypatch.setattr(machine.describe, "__defaults__", (0.01,))


@pytest.fixture(scope="session")
def e2v_bench():
    """Runs a command of ``e2v bench``; returns its output."""

    def run(*args, code=0):
        done = CliRunner().invoke(bench, [str(arg) for arg in args], standalone_mode=False)
        if done.exception is not None:
            raise done.exception
        assert (done.return_value or 0) == code
        return done.output

    return run
