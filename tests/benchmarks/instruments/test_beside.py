"""An engine in another process."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from emotion2vec_edge.benchmarks.instruments.beside import OtherProcess, other_process, scores_of
from emotion2vec_edge.benchmarks.speech import of_length, sample_speech
from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.engine.errors import ModelError, OptionError, OutputError

CLIP = of_length(sample_speech(), 1.0)


def process_of(engine):
    """The process that an engine runs in."""
    return engine.run.__self__.popen


@pytest.mark.slow
def test_it_answers_as_an_engine_here_does():
    with other_process(f"{sys.executable} --precision int8", ["--threads", "1"], CLIP) as other:
        first, longer = other.run(CLIP), other.run(of_length(sample_speech(), 1.5))
        again = other.run(CLIP)
        process = process_of(other)
    here = Recognizer.load(precision="int8", threads=1)
    assert np.abs(first - scores_of(here, CLIP)).max() < 1e-5
    assert np.abs(longer - first).max() > 1e-3
    assert np.array_equal(first, again)
    assert other.facts.runtime.startswith("ONNX Runtime 1.")
    assert other.facts.runtime.endswith(", cpu, int8")
    assert other.facts.load > 0 < other.facts.first_call
    assert other.facts.on_disk == here.bundle.variant("int8").bytes
    assert process.returncode is not None


def test_options_of_the_command_come_last(tmp_path):
    command = f"{sys.executable} --model {tmp_path}/elsewhere"
    with (
        pytest.raises(ModelError, match="elsewhere"),
        other_process(command, ["--model", "emotion2vec_small"], CLIP),
    ):
        pass


@pytest.mark.parametrize("command", ["/nowhere/python --provider cpu", "", "''", "'unclosed"])
def test_an_interpreter_that_is_not_there(command):
    with pytest.raises(OptionError, match="'PYTHON OPTIONS'"), other_process(command, [], CLIP):
        pass


def test_a_program_that_is_no_interpreter(capfd):
    with (
        pytest.raises(OptionError, match="ended with exit code 1; that environment needs"),
        other_process("false", [], CLIP),
    ):
        pass


def test_wrong_options_are_told_by_the_other_process(capfd):
    with (
        pytest.raises(OptionError, match="ended with exit code 2"),
        other_process(f"{sys.executable} --no-such-option", [], CLIP),
    ):
        pass
    assert "No such option" in capfd.readouterr().err


@pytest.mark.slow
def test_a_process_that_dies_is_told_as_such():
    with other_process(sys.executable, ["--threads", "1"], CLIP) as other:
        process_of(other).kill()
        with pytest.raises(OptionError, match="ended with exit code -9"):
            other.run(CLIP)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_is_told_as_such():
    with subprocess.Popen(["sleep", "60"], stdin=-1, stdout=-1) as process:
        with pytest.raises(OutputError, match="No space left"):
            OtherProcess("python", process, Path("/dev/full")).ask(CLIP)
        process.kill()
