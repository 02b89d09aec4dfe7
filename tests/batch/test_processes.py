"""Worker processes: the same results, and what becomes of those that die."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from batches import answers, before_path, e2v, rows
from hypothesis import given
from hypothesis import strategies as st

from emotion2vec_edge.engine.batch import processes
from emotion2vec_edge.engine.batch.handout import Handout
from emotion2vec_edge.engine.batch.inputs.input_file import InputFile
from emotion2vec_edge.engine.batch.processes import Division, _Pool, _Process, divide, divide_for
from emotion2vec_edge.engine.runtime.chunking import Chunking
from emotion2vec_edge.engine.settings import MOST_JOBS


@pytest.mark.parametrize(
    ("processors", "megabytes", "division"),
    [
        (1, None, Division(1, 1)),
        (8, None, Division(8, 1)),
        (64, None, Division(64, 1)),
        (300, None, Division(150, 2)),
        (8, 16_000, Division(8, 1)),
        (16, 1_250, Division(8, 2)),  # ten would leave six processors without work
        (64, 1_250, Division(9, 7)),  # 63 of 64; ten of six would use 60
        (64, 400, Division(3, 21)),
        (17, 2_000, Division(16, 1)),
        (64, 130, Division(1, 64)),
        (64, 0, Division(1, 64)),
    ],
)
def test_processors_and_memory_are_divided(processors, megabytes, division):
    free = None if megabytes is None else megabytes * 1_000_000
    assert divide(processors, None if free is None else 100_000_000, free) == division


@given(st.integers(1, 1024), st.integers(0, 1 << 33), st.integers(0, 1 << 40))
def test_no_more_threads_than_processors_and_no_more_memory_than_is_free(count, memory, free):
    jobs, threads = divide(count, memory, free)
    assert 1 <= jobs <= MOST_JOBS
    assert count / 2 < jobs * threads <= count
    assert jobs == 1 or jobs * memory <= free


@pytest.mark.parametrize(("longest", "heard"), [(8, 8), (600, 30)])
def test_the_memory_of_a_process_is_measured(recognizer, monkeypatch, longest, heard):
    encoded = []
    model = SimpleNamespace(
        audio=recognizer.encoder.audio, chunking=Chunking(longest), encode=encoded.append
    )
    monkeypatch.setattr(processes, "free_memory", lambda: 1 << 30)
    monkeypatch.setattr(processes, "private_memory", lambda: len(encoded) * (200 << 20))
    assert divide_for(SimpleNamespace(provider="cpu", encoder=model), 64) == Division(4, 16)
    assert [len(samples) for samples in encoded] == [heard * 16_000]


def test_one_processor_needs_no_measurement(recognizer):
    assert divide_for(recognizer, 1) == Division(1, 1)


def test_a_gpu_has_one_process():
    assert divide_for(SimpleNamespace(provider="cuda"), 8) == Division(1, 8)


@pytest.mark.slow
def test_processes_give_what_one_gives(calls, tmp_path):
    assert e2v(calls, "-o", tmp_path / "one", "--threads", 1).returncode == 1
    done = e2v(calls, "-o", tmp_path / "two", "--jobs", "auto", "--threads", 2)
    assert done.returncode == 1, done.stderr
    assert "e2v: --jobs 2, threads of each: 1" in done.stderr
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
