"""Nothing leaves the machine: system calls and the home folder, in fresh processes."""

import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from emotion2vec_edge.engine import telemetry

pytestmark = pytest.mark.slow  # a fresh process each

SUPPRESSORS = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "GITLAB_CI", "JENKINS_URL", "BUILD_ID")
"""Variables under which ONNX Runtime sends nothing by itself."""

NETWORK = re.compile(
    r"(connect|sendto|sendmsg)\(\d+, .*sa_family=AF_INET|openat\(.*\"/etc/(resolv\.conf|hosts)\""
)
"""System calls that reach the network, or prepare to look up a name."""


@dataclass(frozen=True)
class Home:
    """A home folder of its own, and an environment in which telemetry is not suppressed."""

    folder: Path
    environment: dict
    trace: Path

    def run(self, *arguments, feed=()):
        """Run Python under strace, if that is installed; `feed` goes to stdin."""
        tracer = shutil.which("strace")
        traced = [tracer, "-f", "--seccomp-bpf", "-e", "trace=%network,openat", "-o", self.trace]
        command = [*(traced if tracer else []), sys.executable, *arguments]
        with (self.trace.parent / "stderr").open("w+b") as errors:
            with subprocess.Popen(
                command, env=self.environment, stdin=-1, stdout=subprocess.DEVNULL, stderr=errors
            ) as process:
                for data in feed:
                    process.stdin.write(data)
                    process.stdin.flush()
            errors.seek(0)
            assert process.returncode == 0, errors.read()

    def reached(self):
        """System calls that reach the network, or prepare to look up a name."""
        if not self.trace.exists():
            return []
        return [line for line in self.trace.read_text().splitlines() if NETWORK.search(line)]

    def assert_silent(self):
        assert not [path for path in self.folder.rglob("*") if path.is_file()]
        assert not self.reached()


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    hidden = {telemetry.VARIABLE, "XDG_CACHE_HOME", *SUPPRESSORS}
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    environment |= {"HOME": str(folder), "E2V_CACHE": str(tmp_path / "cache")}
    return Home(folder, environment, tmp_path / "trace")


@pytest.mark.skipif(
    shutil.which("strace") is None, reason="SKIPPED LOUDLY: strace is not installed"
)
def test_a_call_that_reaches_the_network_is_seen(home):
    call = "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('127.0.0.1', 9))"
    home.run("-c", f"import socket; {call}")
    assert len(home.reached()) == 1


@pytest.mark.parametrize(
    "module",
    [
        "engine.runtime.session",
        "export.exporter",
        "quantize.fp16",
        "quantize.int8",
        "benchmarks.baselines.onnxruntime",
    ],
)
def test_a_package_that_imports_onnxruntime_sends_nothing(home, module):
    if module == "export.exporter":
        pytest.importorskip("torch")
    home.run("-c", f"import emotion2vec_edge.{module}, onnxruntime")
    home.assert_silent()


def test_recognizing_sends_nothing(home):
    home.run("-m", "emotion2vec_edge.engine.cli", "recognize", "--examples")
    home.assert_silent()


def test_a_stream_of_20_seconds_sends_nothing(home):
    """At the pace of time: the first report would be sent after about 15 s."""
    second = np.random.default_rng(1).normal(0, 300, 16_000).astype("<i2").tobytes()

    def paced():
        for _ in range(20):
            yield second
            time.sleep(1)

    home.run("-m", "emotion2vec_edge.engine.cli", "stream", "-", "--rate", "16000", feed=paced())
    home.assert_silent()


def run(script, **variables):
    hidden = {telemetry.VARIABLE}
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    environment |= {"CI": "1"}  # the warning is tested, not the reporting
    command = [sys.executable, "-W", "always", "-c", script]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, env=environment | variables
    )


LOAD_TWICE = "from emotion2vec_edge.engine import Recognizer; Recognizer.load(); Recognizer.load()"


def test_a_process_that_imported_onnxruntime_first_is_warned_once():
    done = run(f"import onnxruntime; onnxruntime.__version__ = '1.29.0'; {LOAD_TWICE}")
    assert done.stderr.count("telemetry may be sent") == 1
    assert "imported before ORT_DISABLE_TELEMETRY" in done.stderr
    assert "telemetry" not in run(LOAD_TWICE).stderr
    assert (
        "telemetry"
        not in run(f"import onnxruntime; {LOAD_TWICE}", **{telemetry.VARIABLE: "1"}).stderr
    )
    older = f"import onnxruntime; onnxruntime.__version__ = '1.28.1'; {LOAD_TWICE}"
    assert "telemetry" not in run(older).stderr


def test_what_the_user_has_set_stays():
    script = "import os, emotion2vec_edge.engine as e; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    assert run(script, **{telemetry.VARIABLE: "0"}).stdout == "0\n"
    assert run(script).stdout == "1\n"


def test_doctor_tells_the_state(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(telemetry, "IMPORTED_EARLIER", False)
    monkeypatch.setenv(telemetry.VARIABLE, "1")
    assert telemetry.problem("1.32.0") is None
    monkeypatch.setenv(telemetry.VARIABLE, "0")
    assert "ORT_DISABLE_TELEMETRY=0" in telemetry.problem("1.29.0")
    assert telemetry.problem("1.28.2") is None
    monkeypatch.setattr(telemetry, "IMPORTED_EARLIER", True)
    assert "imported before" in telemetry.problem("1.30.0rc1")

    command = [sys.executable, "-m", "emotion2vec_edge.engine.cli", "doctor"]
    environment = os.environ | {telemetry.VARIABLE: "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert "ok  ONNX Runtime sends no telemetry" in done.stdout
