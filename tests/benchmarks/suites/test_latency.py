"""Latency of fake and real runners."""

import time

import numpy as np
import pytest

from emotion2vec_edge.benchmarks.reporting.document import read_document
from emotion2vec_edge.benchmarks.suites import latency
from emotion2vec_edge.engine.errors import OptionError


def test_a_fake_model_that_sleeps_is_told_as_such(monkeypatch):
    runs = {"slow": lambda _: time.sleep(0.03) or np.array([0.4]),
            "fast": lambda _: time.sleep(0.01) or np.array([0.5])}  # fmt: skip
    settings = latency.LatencySettings(seconds=(0.5,), rounds=5)
    table = latency._warm(runs, "fast", np.zeros(100, np.float32), settings, lambda _: None)
    slow, fast = table.rows
    assert 30 <= slow[2] < 45
    assert 10 <= fast[2] < 20
    assert slow[5] == pytest.approx(500 / slow[2])
    assert 1.8 < float(slow[6].split()[0]) < 3.2
    assert (slow[7], fast[7]) == (0.0, pytest.approx(0.1))


def test_baselines_need_their_checkpoint():
    with pytest.raises(OptionError, match="--checkpoint"):
        latency.measure(latency.LatencySettings(baselines=("torch",)), print)


def test_latency_with_baselines(e2v_bench, small_checkpoint, small_bundle, tmp_path):
    names = ["torch", "torch-int8", "torch-sdpa", "funasr", "ort", "ort-naive-int8"]
    options = [option for name in names for option in ("--baseline", name)]
    text = e2v_bench("latency", "-s", 1, "--rounds", 2, "--model", small_bundle,
                     "--checkpoint", small_checkpoint, *options, "-o", tmp_path)  # fmt: skip
    assert "trained weights" in text
    assert (tmp_path / "latency.png").read_bytes().startswith(b"\x89PNG")
    (warm, cold) = read_document(tmp_path / "latency.json").tables
    assert [row[1] for row in warm.rows] == ["fp32", "int8", *names]
    far = {row[1]: row[7] for row in warm.rows}
    for exact in ("torch", "torch-sdpa", "funasr", "ort"):
        assert far[exact] < 1e-4, far
    assert max(far.values()) < 0.3
    assert [row[0] for row in cold.rows] == ["fp32", "int8"]
    assert all(0.1 < row[3] < 10 and 50 < row[4] < 500 for row in cold.rows)
