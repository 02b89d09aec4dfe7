"""The command as a whole: help, exit codes."""

import os

import pytest
from commands import e2v


def test_version_and_help_are_quick():
    """CPU time of a process, the interpreter's own start included."""
    for option in ("--version", "--help"):
        best = min(cpu_seconds(option) for _ in range(5))
        assert best < 0.1, f"{option} took {best:.3f} s"


def cpu_seconds(*args):
    before = os.times()
    assert e2v(*args).returncode == 0
    after = os.times()
    return (after.children_user + after.children_system) - (
        before.children_user + before.children_system
    )


def test_the_help_names_every_verb():
    text = e2v("--help").stdout.decode()
    for verb in ("recognize", "batch", "stream", "export", "quantize", "info", "doctor"):
        assert verb in text
        assert e2v(verb, "--help").returncode == 0


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["recognize"], 2, "no audio"),
        (["recognize", "x.wav", "--format", "xml"], 2, "xml"),
        (["recognize", "--examples", "--threads", "0"], 2, "threads is 0"),
        (["recognize", "--examples", "--precision", "int4"], 2, "int4"),
        (["recognize", "--examples", "--provider", "tpu"], 2, "tpu"),
        (
            ["recognize", "--examples", "--granularity", "frame", "--window", "0"],
            2,
            "a window of 0.0 s; give 0.02 to 1,000,000 s",
        ),
        (["recognize", "gone.wav"], 3, "No such file"),
        (["recognize", "--examples", "--channel", "5"], 3, "no channel 5"),
        (["recognize", "--examples", "--model", "gone"], 4, "not a model bundle"),
        (["recognize", "--examples", "--precision", "fp16"], 4, "no fp16 variant"),
        (["recognize", "--examples", "--provider", "cuda"], 5, "CUDAExecutionProvider"),
        (["info", "gone"], 4, "not a model bundle"),
        (["sing"], 2, "No such command"),
        (["recognise"], 2, "Did you mean 'recognize'?"),
    ],
)
def test_exit_codes(args, code, message):
    done = e2v(*args)
    assert done.returncode == code
    assert message in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
