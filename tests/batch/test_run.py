"""Runs of a batch: what they leave, how they go on, and what ends them."""

import csv
import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from batches import E2V, answers, e2v, everything_is_whole, one_run, rows

from emotion2vec_edge.engine.batch import run, worker
from emotion2vec_edge.engine.batch.inputs.discover import collect
from emotion2vec_edge.engine.batch.output import folder, log
from emotion2vec_edge.engine.batch.output.folder import OutputFolder
from emotion2vec_edge.engine.batch.run import BatchRun
from emotion2vec_edge.engine.batch.settings import BatchSettings
from emotion2vec_edge.engine.batch.worker import Worker
from emotion2vec_edge.engine.errors import OptionError, OutputError
from emotion2vec_edge.engine.settings import IntakeSettings, ReportSettings


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


@pytest.mark.slow
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


@pytest.mark.parametrize("where", ["log", "file"])
def test_a_full_disk_keeps_what_is_done(recognizer, calls, tmp_path, monkeypatch, where):
    out = tmp_path / "out"
    full = {"at": 5 if where == "log" else 4}  # the failure of letter.wav is logged too

    def pwrite(file, line, at, real=os.pwrite):
        full["at"] -= 1
        if full["at"] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(file, line[: len(line) // 2] if not full["at"] else line, at)

    def write_until_full(out, place, content, real=worker.write_result):
        full["at"] -= 1
        if full["at"] == 0:
            raise OutputError(f"{out / place}: cannot be written: No space left on device")
        real(out, place, content)

    if where == "log":
        monkeypatch.setattr(log.os, "pwrite", pwrite)
    else:
        monkeypatch.setattr(worker, "write_result", write_until_full)
    with pytest.raises(OutputError, match="No space left on device"):
        one_run(recognizer, out, [calls])
    monkeypatch.undo()
    everything_is_whole(out)
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["state"], summary["recognized"]) == ("stopped", 3)
    assert one_run(recognizer, out, [calls]).done == 5


def test_settings_that_cannot_be():
    with pytest.raises(OptionError, match="JSON and CSV come by themselves"):
        BatchSettings(formats=("json",))
    with pytest.raises(OptionError, match="shortest segment"):
        BatchSettings(report=ReportSettings(min_segment=-1.0))


def test_intake_settings_are_obeyed(recognizer, calls, tmp_path):
    settings = BatchSettings(intake=IntakeSettings(max_seconds=1.0))
    assert one_run(recognizer, tmp_path / "a", [calls], settings).failed == 9
    settings = BatchSettings(intake=IntakeSettings(max_seconds=1.0, cut=True))
    assert one_run(recognizer, tmp_path / "b", [calls], settings).done == 8
    assert {row["seconds"] for row in rows(tmp_path / "b" / "results.jsonl")} == {1.0}


# The end of a run.


def batch_run(recognizer, folder, inputs):
    """A run, and its outcomes."""
    items = collect([str(path) for path in inputs], sys.stdin)
    made = BatchRun(folder, items, "r")
    return made, made.outcomes(Worker(recognizer, folder.path, BatchSettings(), "r"))


def test_results_are_parsed_once_at_the_end(recognizer, calls, tmp_path, monkeypatch):
    parsed = []

    def counting(line, real=log.parse_line):
        parsed.append(line)
        return real(line)

    with OutputFolder(tmp_path / "out") as opened:
        made, outcomes = batch_run(recognizer, opened, [calls])
        for _ in zip(range(9), outcomes, strict=False):
            pass
        monkeypatch.setattr(log, "parse_line", counting)
        assert next(outcomes, None) is None
        assert len(parsed) == 8
    assert made.summary.recognized == 8
    assert made.summary.failures == 1


def test_a_table_that_cannot_be_written(recognizer, calls, tmp_path, monkeypatch):
    """The summary, which has its bytes set aside, is written all the same."""
    one_run(recognizer, tmp_path / "out", [calls])

    def write_file(path, content, real=folder.write_file, **options):
        if path.name == "results.csv":
            raise OutputError(f"{path}: cannot be written: No space left on device")
        real(path, content, **options)

    monkeypatch.setattr(folder, "write_file", write_file)
    with pytest.raises(OutputError, match=r"results\.csv.*No space left"):
        one_run(recognizer, tmp_path / "out", [calls / "day0"])
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["state"], summary["recognized"], summary["failures"]) == ("stopped", 8, 1)
    assert not (tmp_path / "out" / "results.csv").exists()  # it would be that of the run before


def test_a_summary_that_cannot_be_removed(recognizer, calls, tmp_path):
    (tmp_path / "out" / "summary.json").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"summary\.json: cannot be written: Is a directory"):
        one_run(recognizer, tmp_path / "out", [calls / "day0"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("times", [1, 2])
def test_a_signal_waits_for_the_tables(number, times):
    """… but a second one does not."""
    done = []
    before = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), run._signals_held():  # noqa: PT012
            for _ in range(times):
                signal.raise_signal(number)
            done.append(True)
        assert done == ([True] if times == 1 else [])
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)


def test_signals_are_left_alone_outside_of_the_main_thread():
    held = []

    def work():
        with run._signals_held():
            held.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert held == [signal.getsignal(signal.SIGINT)]


def test_a_clock_that_is_set_back(recognizer, calls, tmp_path, monkeypatch):
    now = iter(range(10**6, 0, -1000))
    monkeypatch.setattr(time, "time", lambda: next(now))
    with OutputFolder(tmp_path / "out") as opened:
        made, outcomes = batch_run(recognizer, opened, [calls / "day0"])
        assert len(list(outcomes)) == 4
        assert 0 < made.progress.seconds < 600
        assert 0 < made.summary.this_run.seconds < 600


# Inputs that are no recordings.


def test_problems_that_are_known_before_are_failures(recognizer, calls, tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "wav.scp").write_text(
        f"one {calls / 'day0' / '0.wav'}\ntwo sph2pipe x.sph |\nthree {tmp_path / 'pipe.wav'}\n"
    )
    progress = one_run(recognizer, tmp_path / "out", [tmp_path / "wav.scp"])
    assert (progress.done, progress.failed) == (1, 2)
    failures = {
        row["message"].partition(": ")[2]: row for row in rows(tmp_path / "out" / "failures.jsonl")
    }
    assert set(failures) == {
        "a command in wav.scp is not run; write its output to a file and name that",
        "is a pipe; a batch reads regular files",
    }
    assert {row["exit_code"] for row in failures.values()} == {3}


def test_names_of_any_bytes(recognizer, calls, tmp_path):
    """A byte 0xff and the four characters are two recordings, and a damaged one does no harm."""
    folder = tmp_path / "in"
    folder.mkdir()
    byte, text = os.fsdecode(b"\xff.wav"), r"\xff.wav"
    shutil.copy(calls / "day0" / "0.wav", folder / byte)
    shutil.copy(calls / "day0" / "1.wav", folder / text)
    (folder / os.fsdecode(b"\xfe.wav")).write_text("not a recording")
    shutil.copy(calls / "day0" / "2.wav", folder / "last.wav")
    out = tmp_path / "out"
    progress = one_run(recognizer, out, [folder])
    assert (progress.done, progress.failed) == (3, 1)
    found = {row["file"]: row for row in rows(out / "results.jsonl")}
    assert {Path(file).name for file in found} == {r"\xff.wav", r"\x5cxff.wav", "last.wav"}
    assert len({row["result"] for row in found.values()}) == 3
    (failure,) = rows(out / "failures.jsonl")
    assert failure["file"].endswith(r"\xfe.wav")
    assert r"\xfe.wav: neither libsndfile" in failure["message"]
    again = one_run(recognizer, out, [folder])
    assert (again.done, again.failed, again.skipped) == (0, 1, 3)


def test_ids_of_any_bytes(recognizer, calls, tmp_path):
    line = b"utt\xff " + os.fsencode(calls / "day0" / "0.wav") + b"\n"
    (tmp_path / "wav.scp").write_bytes(line)
    assert one_run(recognizer, tmp_path / "out", [tmp_path / "wav.scp"]).done == 1
    assert [row["id"] for row in rows(tmp_path / "out" / "results.jsonl")] == [r"utt\xff"]
    assert one_run(recognizer, tmp_path / "out", [tmp_path / "wav.scp"]).skipped == 1


def test_foreign_lines_in_the_results(recognizer, calls, tmp_path):
    out = tmp_path / "out"
    one_run(recognizer, out, [calls])
    known = (out / "results.jsonl").read_bytes()
    foreign = b'{"file": "x.wav"}\n{"file": 5}\n'
    with (out / "results.jsonl").open("ab") as file:
        file.write(foreign)
    again = one_run(recognizer, out, [calls])
    assert (again.done, again.skipped) == (0, 8)
    assert (out / "results.jsonl").read_bytes() == known
    assert (out / "results.jsonl.foreign").read_bytes() == foreign
