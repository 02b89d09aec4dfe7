"""Folders of results: what they hold, how they go on, and what can stop them."""

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emotion2vec_edge.engine import example_recordings, load_audio
from emotion2vec_edge.engine.batch import folder, worker
from emotion2vec_edge.engine.batch.discover import InputFile, collect
from emotion2vec_edge.engine.batch.folder import Log, OutputFolder
from emotion2vec_edge.engine.batch.run import Progress, remaining, run_batch
from emotion2vec_edge.engine.batch.settings import BatchSettings
from emotion2vec_edge.engine.batch.worker import Worker
from emotion2vec_edge.engine.errors import OptionError, OutputError
from emotion2vec_edge.engine.files import write_file
from emotion2vec_edge.engine.pipeline import Pipeline
from emotion2vec_edge.engine.settings import IntakeSettings, ReportSettings

E2V = [sys.executable, "-m", "emotion2vec_edge.engine.cli", "batch"]


def before_path(folder):
    """PYTHONPATH with a folder in front."""
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))


def e2v(*args, **env):
    return subprocess.run(
        [*E2V, *map(str, args)], capture_output=True, text=True, check=False,
        env={**os.environ, **env},
    )  # fmt: skip


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """A folder of eight short recordings, one of which is none."""
    folder = tmp_path_factory.mktemp("in") / "calls"
    speech = np.concatenate([load_audio(path).samples for path in example_recordings()])
    for number in range(8):
        path = folder / f"day{number % 2}" / f"{number // 2}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, speech[number * 30_000 :][:24_000], 16_000)
    (folder / "letter.wav").write_text("not a recording")
    return folder


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def answers(folder):
    """Everything that an undisturbed and a disturbed run should agree on."""
    kept = {}
    for row in rows(folder / "results.jsonl"):
        result = json.loads((folder / row["result"]).read_text())
        kept[row["file"]] = (row["scores"], row["source"], result["scores"], result.get("frames"))
    failures = {row["file"]: row["message"] for row in rows(folder / "failures.jsonl")}
    return kept, failures


def test_what_a_batch_leaves(calls, tmp_path, embedding_shape):
    out = tmp_path / "out"
    done = e2v(calls, "-o", out, "--embeddings", "--granularity", "frame", "--window", 0.5, "--hop",
               0.5, "--format", "srt", "--format", "textgrid", "--confident", 0.5)  # fmt: skip
    assert done.returncode == 1
    assert "letter.wav: neither libsndfile" in done.stderr
    assert "8 recognized, 1 failed" in done.stdout
    assert not (out / ".work").exists()
    logged = rows(out / "results.jsonl")
    assert [row["file"] for row in logged] == sorted(str(p) for p in calls.rglob("?.wav"))
    row = logged[0]
    assert row["result"] == "results/calls/day0/0.wav.json"
    assert "frames" not in row
    result = json.loads((out / row["result"]).read_text())
    assert result["scores"] == row["scores"]
    assert len(result["frames"]) == 3
    assert np.load(out / row["embedding"]).shape == embedding_shape
    assert (out / "results/calls/day0/0.wav.srt").read_text().startswith("1\n00:00:00,000 -->")
    assert (out / "results/calls/day0/0.wav.TextGrid").is_file()
    with (out / "results.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [line["file"] for line in table] == [row["file"] for row in logged]
    assert float(table[0][table[0]["emotion"]]) == pytest.approx(row["confidence"], abs=1e-6)
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["state"], summary["files"], summary["failures"]) == ("finished", 9, 1)
    assert sum(summary["labels"].values()) == 8
    assert summary["audio_seconds"] == pytest.approx(8 * 1.5)
    assert summary["mean_confidence"] == pytest.approx(np.mean([r["confidence"] for r in logged]))
    assert summary["confident"] == {
        "from": 0.5,
        "files": sum(r["confidence"] >= 0.5 for r in logged),
    }
    (failure,) = rows(out / "failures.jsonl")
    assert failure["error"] == "UndecodableAudioError"
    assert failure["exit_code"] == 3


def test_processes_give_what_one_gives(calls, tmp_path):
    assert e2v(calls, "-o", tmp_path / "one", "--threads", 1).returncode == 1
    done = e2v(calls, "-o", tmp_path / "two", "--jobs", 2, "--threads", 2)
    assert done.returncode == 1, done.stderr
    assert answers(tmp_path / "one") == answers(tmp_path / "two")


def test_the_default_folder_is_named_after_the_time(calls, tmp_path):
    done = subprocess.run([*E2V, calls / "day0"], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0
    (out,) = (tmp_path / "outputs").iterdir()
    assert time.strptime(out.name, "batch_%Y%m%d_%H%M%S")


def test_all_failed_and_nothing_found(calls, tmp_path):
    assert e2v(calls / "letter.wav", "-o", tmp_path / "a").returncode == 3
    assert e2v(tmp_path / "gone.wav", "-o", tmp_path / "a").returncode == 3
    done = e2v(tmp_path / "a", "-o", tmp_path / "b")
    assert done.returncode == 2
    assert "no recordings" in done.stderr
    assert not (tmp_path / "b").exists()
    assert e2v(calls, "-o", tmp_path / "b", "--model", "gone").returncode == 4
    assert e2v(calls, "-o", tmp_path / "b", "--window", 0, "--granularity", "frame").returncode == 2
    done = e2v(calls, "-o", calls / "letter.wav")
    assert done.returncode == 1
    assert "letter.wav: cannot be written" in done.stderr


# Going on.


def one_run(recognizer, out, inputs, settings=None, run="r"):
    settings = settings or BatchSettings()
    items = collect([str(path) for path in inputs], sys.stdin)
    with OutputFolder(out) as folder:
        todo = remaining(folder, items, run)
        progress = Progress(len(todo), skipped=len(items) - len(todo))
        worker = Worker(recognizer, out, settings, run)
        list(run_batch(folder, items, todo, worker, progress))
    return progress


def test_a_second_run_does_what_is_left(recognizer, calls, tmp_path):
    out = tmp_path / "out"
    first = one_run(recognizer, out, [calls])
    assert (first.done, first.failed, first.skipped) == (8, 1, 0)
    again = one_run(recognizer, out, [calls])
    assert (again.done, again.failed, again.skipped) == (0, 1, 8)
    other = one_run(recognizer, out, [calls], run="other settings")
    assert (other.done, other.skipped) == (8, 0)
    assert len(rows(out / "results.jsonl")) == 8


@pytest.mark.parametrize("change", ["content", "time", "result"])
def test_what_has_changed_is_done_again(recognizer, calls, tmp_path, change):
    inputs = tmp_path / "calls"
    shutil.copytree(calls / "day0", inputs)
    out = tmp_path / "out"
    one_run(recognizer, out, [inputs])
    path = inputs / "1.wav"
    if change == "content":
        soundfile.write(path, np.zeros(20_000, np.float32), 16_000)
    elif change == "time":
        os.utime(path, ns=(1, 1))
    else:
        (out / "results/calls/1.wav.json").unlink()
    again = one_run(recognizer, out, [inputs])
    assert (again.done, again.skipped) == (1, 3)
    assert len(rows(out / "results.jsonl")) == 4
    assert one_run(recognizer, out, [inputs]).done == 0


def test_other_inputs_join_what_is_there(recognizer, calls, tmp_path):
    out = tmp_path / "out"
    one_run(recognizer, out, [calls / "day0", calls / "letter.wav"])
    one_run(recognizer, out, [calls / "day1"])
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["recognized"], summary["failures"]) == (8, 1)
    assert len(rows(out / "results.jsonl")) == 8


def test_a_torn_last_line_is_cut_off(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"file": "a"}\nrubbish\n{"file": "b"')
    log = Log(path)
    log.append({"file": "c"})
    log.append({"file": "a", "again": True})
    assert list(log.rows()) == [{"file": "a", "again": True}, {"file": "c"}]
    assert path.read_bytes().startswith(b'{"file": "a"}\nrubbish\n{"file": "c"}\n')
    log.close()


def test_one_run_at_a_time(tmp_path):
    with OutputFolder(tmp_path), pytest.raises(OutputError, match="another run"):
        OutputFolder(tmp_path)
    with OutputFolder(tmp_path):
        pass


# What can stop it.


def everything_is_whole(out):
    """No file of the folder is half-written, but for what lies in .work."""
    for path in out.rglob("*"):
        if ".work" in path.parts or path.is_dir():
            continue
        if path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".jsonl":
            assert path.read_bytes()[-1:] in (b"", b"\n")
            rows(path)
        elif path.suffix == ".npy":
            np.load(path)
        else:
            assert path.suffix == ".csv"


@pytest.mark.parametrize("jobs", [1, 2])
def test_kill_at_any_moment_and_go_on(calls, tmp_path, jobs):
    for number in range(24):
        shutil.copy(calls / f"day{number % 2}" / f"{number % 4}.wav", tmp_path / f"{number:02}.wav")
    command = [tmp_path, "--jobs", jobs, "--threads", 2, "--embeddings"]
    assert e2v(*command, "-o", tmp_path / "calm").returncode == 0
    out = tmp_path / "killed"
    rng = random.Random(jobs)  # noqa: S311
    counts = [0]
    for _ in range(4):
        process = subprocess.Popen(
            [*E2V, *map(str, command), "-o", str(out)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            process.wait(rng.uniform(0.35, 0.9))
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        if out.exists():
            everything_is_whole(out)
            counts.append(len(rows(out / "results.jsonl")))
    assert counts == sorted(counts)  # nothing that was done is ever lost
    assert e2v(*command, "-o", out).returncode == 0
    everything_is_whole(out)
    assert answers(out) == answers(tmp_path / "calm")
    assert json.loads((out / "summary.json").read_text())["recognized"] == 24


def test_ctrl_c_keeps_what_is_done(calls, tmp_path):
    out = tmp_path / "out"
    for number in range(400):
        os.link(calls / "day0" / "0.wav", tmp_path / f"{number}.wav")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [*E2V, str(tmp_path), "-o", str(out), "--jobs", "2"], stderr=subprocess.PIPE
    )
    signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + 60
    while not (out / "results.jsonl").exists() or not (out / "results.jsonl").stat().st_size:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in errors
    everything_is_whole(out)
    summary = json.loads((out / "summary.json").read_text())
    done = len(rows(out / "results.jsonl"))
    assert (summary["state"], summary["recognized"]) == ("interrupted", done)
    assert summary["this_run"]["remaining"] == 400 - done
    assert not (out / ".work").exists()


@pytest.mark.parametrize("where", ["log", "file"])
def test_a_full_disk_keeps_what_is_done(recognizer, calls, tmp_path, monkeypatch, where):
    out = tmp_path / "out"
    full = {"at": 5 if where == "log" else 4}  # the failure of letter.wav is logged too

    def pwrite(file, line, at, real=os.pwrite):
        full["at"] -= 1
        return real(file, line[: len(line) // 2] if not full["at"] else line, at)

    def write_until_full(path, content, *, scratch, real=write_file):
        full["at"] -= 1
        if full["at"] == 0:
            raise OutputError(f"{path}: cannot be written: No space left on device")
        real(path, content, scratch=scratch)

    if where == "log":
        monkeypatch.setattr(folder.os, "pwrite", pwrite)
    else:
        monkeypatch.setattr(worker, "write_file", write_until_full)
    with pytest.raises(OutputError, match="No space left on device"):
        one_run(recognizer, out, [calls])
    monkeypatch.undo()
    everything_is_whole(out)
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["state"], summary["recognized"]) == ("stopped", 3)
    assert one_run(recognizer, out, [calls]).done == 5


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


def test_a_fault_of_ours_is_one_failure(recognizer, calls, tmp_path, monkeypatch):
    real = Pipeline.encode

    def faulty(self, recordings, **settings):
        if recordings[0].recording.name.endswith("day0/1.wav"):
            raise ZeroDivisionError("division by zero")
        return real(self, recordings, **settings)

    monkeypatch.setattr(Pipeline, "encode", faulty)
    progress = one_run(recognizer, tmp_path / "out", [calls])
    assert (progress.done, progress.failed) == (7, 2)
    messages = [row["message"] for row in rows(tmp_path / "out" / "failures.jsonl")]
    assert "internal error: division by zero" in messages


def test_hostile_names_stay_inside(recognizer, calls, tmp_path):
    source = calls / "day0" / "0.wav"
    listed = [
        InputFile(str(source), "x", id="../../escape"),
        InputFile(str(calls / "day0" / "1.wav"), "x", id="/etc/passwd"),
    ]
    (tmp_path / "wav.scp").write_text("".join(f"{item.id} {item.path}\n" for item in listed))
    one_run(recognizer, tmp_path / "out", [tmp_path / "wav.scp"])
    found = {row["id"]: row["result"] for row in rows(tmp_path / "out" / "results.jsonl")}
    assert found == {
        "../../escape": "results/escape.json",
        "/etc/passwd": "results/etc/passwd.json",
    }
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "wav.scp"]


def test_settings_that_cannot_be():
    with pytest.raises(OptionError, match="JSON and CSV come by themselves"):
        BatchSettings(formats=("json",)).check()
    with pytest.raises(OptionError, match="shortest segment"):
        BatchSettings(report=ReportSettings(min_segment=-1.0)).check()


def test_intake_settings_are_obeyed(recognizer, calls, tmp_path):
    settings = BatchSettings(intake=IntakeSettings(max_seconds=1.0))
    assert one_run(recognizer, tmp_path / "a", [calls], settings).failed == 9
    settings = BatchSettings(intake=IntakeSettings(max_seconds=1.0, cut=True))
    assert one_run(recognizer, tmp_path / "b", [calls], settings).done == 8
    assert {row["seconds"] for row in rows(tmp_path / "b" / "results.jsonl")} == {1.0}


def test_a_batch_size_on_the_processor_is_refused(calls, tmp_path):
    done = e2v(calls, "-o", tmp_path / "out", "--batch-size", 8)
    assert done.returncode == 2
    assert "--batch-size 8 is for one process on a GPU" in done.stderr
