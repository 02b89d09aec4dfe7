"""`e2v doctor`: the machine, the providers, and the placement of a model's operators."""

import subprocess
import sys

from emotion2vec_edge.engine.cli.machine import doctor
from emotion2vec_edge.engine.runtime import hardware


def test_doctor_names_the_gpu(monkeypatch):
    monkeypatch.setattr(hardware, "find_gpu", lambda: hardware.Gpu("Orin", "8.7", "12.6"))
    monkeypatch.setattr(hardware, "tensorrt_version", lambda: None)
    assert list(doctor._processor())[-1] == (
        "Orin (compute 8.7, driver for CUDA 12.6), TensorRT not found"
    )


def test_doctor_shows_the_placement():
    command = [sys.executable, "-m", "emotion2vec_edge.engine.cli", "doctor"]
    done = subprocess.run(
        [*command, "--model", "emotion2vec_small"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "frontend: " in done.stdout
    assert " operators on CPUExecutionProvider" in done.stdout
    done = subprocess.run([*command, "--model", "gone"], capture_output=True, check=False)
    assert done.returncode == 4
