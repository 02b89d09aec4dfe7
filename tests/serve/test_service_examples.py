"""The programs in examples/ that ask the service run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from serving import serving

from emotion2vec_edge.engine import example_recordings

FOLDER = Path(__file__).resolve().parent.parent.parent / "examples"
TOKEN = "a-token-of-some-length"  # noqa: S105


@pytest.fixture(scope="module")
def guarded():
    with serving(token=TOKEN) as one:
        yield one


def run(*command):
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False,
        env={**os.environ, "E2V_TOKEN": TOKEN, "no_proxy": "127.0.0.1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def needed(program):
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"SKIPPED LOUDLY: there is no {program}")
    return found


def rows(recognizer, paths):
    return [
        f"{one.emotion}\t{one.confidence:.2f}\t{path}"
        for path in paths
        for one in [recognizer.recognize(path)]
    ]


def test_curl(guarded, recognizer, example):
    needed("curl")
    text = run(FOLDER / "service_curl.sh", example, guarded.http.base_url)
    emotion = recognizer.recognize(example).emotion
    assert text.count(f'"emotion": "{emotion}",') == 4  # the result and its best, twice
    assert "00:00:00,000 --> " in text
    assert not guarded.service.jobs._jobs


def test_httpx(guarded, recognizer):
    paths = example_recordings()
    text = run(sys.executable, FOLDER / "service_client.py", guarded.http.base_url, *paths)
    assert text.splitlines() == rows(recognizer, paths)


def test_javascript(guarded, recognizer, example_samples, tmp_path):
    node = needed("node")
    version = int(run(node, "--version").lstrip("v").split(".")[0])
    if version < 20:
        pytest.skip(f"SKIPPED LOUDLY: Node {version} has no WebSocket, 20 and later do")
    options = ["--experimental-websocket"] if version < 22 else []
    recording = tmp_path / "call.wav"
    samples = (32_767 * example_samples[:64_000]).astype(np.int16)
    soundfile.write(recording, samples, 16_000, "PCM_16")
    text = run(node, *options, FOLDER / "service_client.mjs", str(guarded.http.base_url), recording)
    first, *windows, last = text.splitlines()
    assert first.split("\t")[:2] == ["call.wav", recognizer.recognize(recording).emotion]
    expected = list(recognizer.stream([samples], hop=1.0))
    assert [row.split("\t")[1] for row in windows] == [window.emotion for window in expected]
    assert last == f"{len(expected)} windows in 4 s, 0 left out"


def test_triton(guarded, recognizer):
    pytest.importorskip(
        "tritonclient.http", reason="SKIPPED LOUDLY: pip install tritonclient[http]"
    )
    paths = example_recordings()
    address = f"127.0.0.1:{guarded.port}"
    text = run(sys.executable, FOLDER / "service_triton.py", address, *paths)
    assert text.splitlines() == rows(recognizer, paths)
