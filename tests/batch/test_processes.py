"""Worker processes: the same results, and what becomes of those that die."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from batches import answers, before_path, e2v, rows

from emotion2vec_edge.engine.batch.handout import Handout
from emotion2vec_edge.engine.batch.inputs.input_file import InputFile
from emotion2vec_edge.engine.batch.processes import _Pool, _Process


@pytest.mark.slow
def test_processes_give_what_one_gives(calls, tmp_path):
    assert e2v(calls, "-o", tmp_path / "one", "--threads", 1).returncode == 1
    done = e2v(calls, "-o", tmp_path / "two", "--jobs", 2, "--threads", 2)
    assert done.returncode == 1, done.stderr
    assert answers(tmp_path / "one") == answers(tmp_path / "two")


@pytest.mark.slow
def test_a_recording_that_kills_its_process_is_a_failure(calls, tmp_path):
    shutil.copytree(calls, tmp_path / "calls")
    shutil.copy(calls / "day0" / "0.wav", tmp_path / "calls" / "deadly.wav")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "def audit(event, args):\n"
        "    if event == 'open' and str(args[0]).endswith('deadly.wav'):\n"
        "        os.kill(os.getpid(), signal.SIGSEGV)\n"
        "if '-m' in sys.orig_argv and 'emotion2vec_edge.engine.batch.processes' in sys.orig_argv:\n"
        "    sys.addaudithook(audit)\n"
    )
    done = e2v(tmp_path / "calls", "-o", tmp_path / "out", "--jobs", 2,
               PYTHONPATH=before_path(tmp_path / "site"))  # fmt: skip
    assert done.returncode == 1
    assert "deadly.wav: a worker process died over it (SIGSEGV)" in done.stderr
    assert len(rows(tmp_path / "out" / "results.jsonl")) == 8
    assert {Path(row["file"]).name for row in rows(tmp_path / "out" / "failures.jsonl")} == {
        "deadly.wav", "letter.wav",
    }  # fmt: skip


def test_a_worker_that_cannot_start_stops_the_batch(calls, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif 'emotion2vec_edge.engine.batch.processes' in sys.orig_argv:\n    os._exit(7)\n"
    )
    done = e2v(calls, "-o", tmp_path / "out", "--jobs", 2, PYTHONPATH=before_path(tmp_path))
    assert done.returncode == 1
    assert "died before it was ready (exit code 7)" in done.stderr
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["state"] == "stopped"


def dies_at_its_start(folder, times):
    """A site folder with which the first workers are killed before they are ready."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'emotion2vec_edge.engine.batch.processes' in sys.orig_argv:\n"
        f"    for number in range({times}):\n"
        "        try:\n"
        f"            os.close(os.open({str(folder)!r} + f'/{{number}}', os.O_CREAT | os.O_EXCL))\n"
        "        except FileExistsError:\n"
        "            continue\n"
        "        os.kill(os.getpid(), 9)\n"
    )
    return before_path(folder)


def test_a_worker_that_is_killed_at_its_start_is_started_again(calls, tmp_path):
    path = dies_at_its_start(tmp_path / "site", 2)
    done = e2v(calls, "-o", tmp_path / "out", "--jobs", 2, PYTHONPATH=path)
    assert done.returncode == 1
    assert "8 recognized, 1 failed" in done.stdout
    assert len(list((tmp_path / "site").glob("[0-9]"))) == 2


def test_all_processes_get_something_to_do(tmp_path):
    class Pipe:
        def __init__(self):
            self.lines = []

        write = property(lambda self: self.lines.append)

        def flush(self):
            pass

    def spawn(self, start=1):
        process = _Process(SimpleNamespace(stdin=Pipe()), start)
        self.processes.append(process)
        return process

    pool = _Pool({}, Handout((InputFile(f"{i}.wav", f"{i}.wav") for i in range(7)), 2))
    pool._spawn = spawn.__get__(pool)
    pool.start_processes(3)
    assert [len(process.items) for process in pool.processes] == [3, 2, 2]
    assert [len(process.popen.stdin.lines) for process in pool.processes] == [3, 2, 2]
