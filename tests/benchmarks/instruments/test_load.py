"""Processes that keep processors busy: stopped, running, and gone."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emotion2vec_edge.benchmarks.instruments import load
from emotion2vec_edge.engine.errors import OptionError


def children():
    """Process → its state and its processor time in ticks, of the children of this process."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            continue
        if int(fields[1]) == os.getpid():
            found[int(path.parent.name)] = (fields[0], int(fields[11]))
    return found


def test_a_load_runs_within_its_context_alone():
    before = set(children())

    def spinning():
        return {pid: facts for pid, facts in children().items() if pid not in before}

    def settle(state):
        for _ in range(200):
            if all(facts[0] == state for facts in spinning().values()):
                break
            time.sleep(0.01)
        return spinning()

    with load.paused_load(2) as running:
        stopped = settle("T")
        assert [state for state, _ in stopped.values()] == ["T", "T"]
        with running():
            time.sleep(1)
        again = settle("T")
        assert again.keys() == stopped.keys()
        assert all(again[pid][1] > stopped[pid][1] for pid in again)
        time.sleep(0.2)
        assert spinning() == again
    assert not spinning()


def test_a_load_ends_with_the_process_that_started_it():
    script = (
        "import os, sys\n"
        "from emotion2vec_edge.benchmarks.instruments import load\n"
        "with load.paused_load(1) as running, running():\n"
        "    import time; time.sleep(1)\n"
        "    print(open(f'/proc/self/task/{os.getpid()}/children').read(), flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    (pid,) = done.stdout.split()
    for _ in range(200):
        if (
            not Path(f"/proc/{pid}/cmdline").exists()
            or not Path(f"/proc/{pid}/cmdline").read_text()
        ):
            return
        time.sleep(0.01)
    pytest.fail("the load still runs")


def test_more_busy_processors_than_there_are():
    with pytest.raises(OptionError, match="--busy 100000"):
        load.check_busy(100_000)
