"""Signals that end a verb: what was computed is kept, and nothing temporary stays."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from commands import E2V
from recordings import encoded, tone

from emotion2vec_edge.engine.cli import _exit_code
from emotion2vec_edge.engine.cli.signals import SIGNALS, signals_interrupt
from emotion2vec_edge.engine.errors import ProviderError


def start(*args, ignored=(), **options):
    """A verb in a process that ignores no signal but ``ignored``."""
    # A shell's background job ignores SIGINT, and hands that on to its children.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    own = {number: signal.signal(number, signal.SIG_IGN) for number in ignored}
    process = subprocess.Popen([*E2V, *map(str, args)], stderr=subprocess.PIPE, **options)
    for number, handler in own.items():
        signal.signal(number, handler)
    signal.signal(signal.SIGINT, before)
    return process


def wait_for_content(folder):
    """Wait for a first result; the bracket before it comes sooner."""
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size > 100 for path in folder.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("number", SIGNALS)
def test_recognize_keeps_what_it_has(example, tmp_path, number):
    output = tmp_path / "out.json"
    process = start("recognize", *[example] * 5_000, "--format", "json", "-o", output)
    wait_for_content(tmp_path)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip() == b"interrupted"
    assert len(json.loads(output.read_text())) >= 1
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.slow
def test_at_any_moment(example, tmp_path):
    """From before the model is loaded to the middle of a decoder's callback."""
    output = tmp_path / "out.json"
    times = np.random.default_rng(0)
    for _ in range(20):
        process = start("recognize", *[example] * 5_000, "--format", "json", "-o", output)
        time.sleep(times.uniform(0.4, 2.5))
        process.terminate()
        _, errors = process.communicate(timeout=60)
        left = list(tmp_path.iterdir())
        assert left in ([], [output])
        if process.returncode == -signal.SIGTERM:  # the interpreter had not come to us yet
            assert not left
            continue
        assert process.returncode == 130
        assert errors.strip() == b"interrupted"
        if left:
            json.loads(output.read_text())
            output.unlink()


def test_a_signal_that_was_ignored_at_the_start_stays_ignored(example, tmp_path):
    output = tmp_path / "out.json"
    process = start(
        "recognize", *[example] * 30, "--format", "json", "-o", output, ignored=[signal.SIGHUP]
    )
    wait_for_content(tmp_path)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert len(json.loads(output.read_text())) == 30


def test_export_leaves_nothing_behind(small_checkpoint, tmp_path):
    process = start("export", small_checkpoint, "-o", tmp_path / "bundle", "--offline")
    deadline = time.monotonic() + 120
    while not list(tmp_path.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.terminate()
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert b"Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_within_exec_of_a_text_ends_with_the_code(tmp_path):
    """Dataclasses and torch do so; "python -m" would end by SIGINT."""
    (tmp_path / "verb.py").write_text(
        "from emotion2vec_edge.engine import cli\n"
        "cli.cli.main = lambda **_: exec('raise KeyboardInterrupt')\n"
        "cli.main()\n"
    )
    command = [sys.executable, "-m", "verb"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_an_interrupt_that_becomes_another_error_stays_one(monkeypatch, capsys):
    def interrupted_import(**_options):
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        raise ProviderError("onnxruntime cannot be imported")

    monkeypatch.setattr("emotion2vec_edge.engine.cli.cli.main", interrupted_import)
    assert _exit_code() == 130
    assert capsys.readouterr().err.strip() == "interrupted"


def test_handlers_are_as_they_were_after_the_block():
    before = [signal.getsignal(number) for number in SIGNALS]
    with signals_interrupt(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    assert [signal.getsignal(number) for number in SIGNALS] == before


class Interrupted(io.BytesIO):
    """A file during whose reading by libsndfile a signal comes."""

    calls = 0

    def readinto(self, buffer):
        self.calls += 1
        if self.calls == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().readinto(buffer)


def test_a_signal_in_a_callback_of_a_decoder_is_not_lost(capfd):
    file = Interrupted(encoded(tone(30.0), 16_000, "WAV"))
    with signals_interrupt(), pytest.raises(KeyboardInterrupt):  # noqa: PT012
        soundfile.read(file)
        time.sleep(5)
    assert file.calls >= 3
    assert capfd.readouterr().err == ""
