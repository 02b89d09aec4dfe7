"""`e2v batch` as a command: its folder, its exit codes, and the signals that end it."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import termios
import time

import pytest
from batches import E2V, before_path, e2v, everything_is_whole, make_calls, rows


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    return make_calls(tmp_path_factory.mktemp("in") / "calls")


def test_the_default_folder_is_named_after_the_time(calls, tmp_path):
    done = subprocess.run([*E2V, calls / "day0"], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0
    (out,) = (tmp_path / "outputs").iterdir()
    assert time.strptime(out.name, "batch_%Y%m%d_%H%M%S")


@pytest.mark.slow
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


@pytest.mark.parametrize("jobs", ["0", "257", "-1", "1.5", "many", ""])
def test_a_wrong_number_of_jobs(calls, tmp_path, jobs):
    done = e2v(calls, "-o", tmp_path / "out", f"--jobs={jobs}")
    assert done.returncode == 2
    assert f"{jobs!r}; give 1 to 256, or auto" in done.stderr


def test_a_batch_size_on_the_processor_is_refused(calls, tmp_path):
    done = e2v(calls, "-o", tmp_path / "out", "--batch-size", 8)
    assert done.returncode == 2
    assert "--batch-size 8 is for one process on a GPU" in done.stderr


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


def test_a_pipe_among_the_recordings(calls, tmp_path):
    os.mkfifo(tmp_path / "m.wav")
    done = subprocess.run(
        [*E2V, calls / "day0", tmp_path, "-o", tmp_path / "out"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "m.wav: is a pipe; a batch reads regular files" in done.stderr
    assert "4 recognized, 1 failed" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_signal_ends_it_while_a_file_blocks(calls, tmp_path, jobs, number):
    """As on a network drive that does not answer; what is done is kept."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import sys, time\n"
        "def audit(event, args):\n"
        "    if event == 'open' and str(args[0]).endswith('blocks.wav'):\n"
        "        time.sleep(1_000)\n"
        "sys.addaudithook(audit)\n"
    )
    shutil.copytree(calls / "day0", tmp_path / "in")
    shutil.copy(calls / "day1" / "0.wav", tmp_path / "in" / "blocks.wav")
    out = tmp_path / "out"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [*E2V, str(tmp_path / "in"), "-o", str(out), "--jobs", str(jobs)],
        stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": before_path(tmp_path / "site")},
    )  # fmt: skip
    signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + 60
    while not (out / "results.jsonl").exists() or len(rows(out / "results.jsonl")) < 4:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Traceback" not in errors
    everything_is_whole(out)
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["state"], summary["recognized"]) == ("interrupted", 4)
    assert not (out / ".work").exists()


def test_foreign_lines_are_told_once(calls, tmp_path):
    (tmp_path / "results.jsonl").write_text('{"file": "x.wav"}\n{"file": 5}\n')
    (tmp_path / "failures.jsonl").write_text("notes of mine\n")
    done = e2v(calls / "day0", "-o", tmp_path)
    assert done.returncode == 0
    assert "results.jsonl: 2 lines not of a batch, moved to results.jsonl.foreign" in done.stderr
    assert "failures.jsonl: 1 line not of a batch, moved to failures.jsonl.foreign" in done.stderr
    assert "4 recognized, 0 failed" in done.stdout
    assert (tmp_path / "failures.jsonl.foreign").read_text() == "notes of mine\n"
    again = e2v(calls / "day0", "-o", tmp_path)
    assert again.returncode == 0
    assert "foreign" not in again.stderr
    assert "(4 done before)" in again.stdout


def test_a_list_with_names_of_any_bytes(calls, tmp_path):
    names = [b"\xff.wav", b"\\xff.wav"]
    for number, name in enumerate(names):
        shutil.copy(calls / "day0" / f"{number}.wav", tmp_path / os.fsdecode(name))
    done = subprocess.run(
        [*E2V, "-", "-o", "out"], input=b"\n".join(names), cwd=tmp_path, capture_output=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"2 recognized, 0 failed" in done.stdout


def test_an_output_folder_with_any_name(calls, tmp_path):
    out = os.fsdecode(bytes(tmp_path) + b"/out\xff")
    done = e2v(calls / "day0", "-o", out)
    assert done.returncode == 0, done.stderr
    assert r"out\xff: 4 recognized, 0 failed" in done.stdout
    assert "(4 done before)" in e2v(calls / "day0", "-o", out).stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_while_a_list_is_read(tmp_path, number):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [*E2V, "-", "-o", str(tmp_path / "out")],
        stdin=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    signal.signal(signal.SIGINT, before)
    process.stdin.write(b"first.wav\n")
    process.stdin.flush()
    deadline = time.monotonic() + 60
    while fcntl.ioctl(process.stdin, termios.FIONREAD, bytes(4)) != bytes(4):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    process.wait(20)
    errors = process.stderr.read()
    process.stdin.close()
    process.stderr.close()
    assert process.returncode == 130
    assert b"Traceback" not in errors
    assert not (tmp_path / "out").exists()
