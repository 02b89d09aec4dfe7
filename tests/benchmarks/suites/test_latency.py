"""Latency of fake and real runners."""

import sys
import time
from pathlib import Path

import numpy as np
import pytest

from emotion2vec_edge.benchmarks.reporting.document import read_document
from emotion2vec_edge.benchmarks.suites import latency
from emotion2vec_edge.engine.errors import OptionError


def test_a_fake_model_that_sleeps_is_told_as_such(monkeypatch):
    runs = {"slow": lambda _: time.sleep(0.03) or np.array([0.4]),
            "fast": lambda _: time.sleep(0.01) or np.array([0.5])}  # fmt: skip
    settings = latency.LatencySettings(seconds=(0.5,), rounds=5)
    (table,) = latency._warm(runs, "fast", np.zeros(100, np.float32), settings, lambda *_: None)
    slow, fast = table.rows
    assert 30 <= slow[2] < 45
    assert 10 <= fast[2] < 20
    assert slow[5] == pytest.approx(500 / slow[2])
    assert 1.8 < float(slow[6].split()[0]) < 3.2
    assert (slow[7], fast[7]) == (0.0, pytest.approx(0.1))


def test_baselines_need_their_checkpoint():
    with pytest.raises(OptionError, match="--checkpoint"):
        latency.measure(latency.LatencySettings(baselines=("torch",)), print)


@pytest.mark.slow
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


def test_varied_lengths_are_drawn_anew_in_each_round():
    settings = latency.LatencySettings(seconds=(1.0,), varied=((1.5, 6.0),), rounds=20)
    speech = np.zeros(16_000, np.float32)
    (fixed, same), (varied, clips) = settings.clips(speech)
    assert (fixed, {len(clip) for clip in same}) == ("1 s", {16_000})
    assert varied == "1.5 to 6 s"
    lengths = [len(clip) for clip in clips]
    assert len(set(lengths)) == len(lengths) == 21
    assert 24_000 <= min(lengths) < 30_000
    assert 90_000 < max(lengths) <= 96_000
    assert lengths == [len(clip) for clip in list(settings.clips(speech))[1][1]]
    with pytest.raises(OptionError, match="--varied 6 1.5"):
        latency.LatencySettings(varied=((6.0, 1.5),)).check()


@pytest.mark.slow
def test_varied_lengths_and_a_busy_processor(e2v_bench, tmp_path):
    e2v_bench("latency", "-s", 1, "--varied", 0.5, 1, "--busy", 1, "--rounds", 2, "--no-cold",
              "-o", tmp_path)  # fmt: skip
    warm, loaded = read_document(tmp_path / "latency.json").tables
    names = [["1 s", "fp32"], ["1 s", "int8"], ["0.5 to 1 s", "fp32"], ["0.5 to 1 s", "int8"]]
    assert [row[:2] for row in warm.rows] == [row[:2] for row in loaded.rows] == names
    assert all(row[7] < 0.3 for row in warm.rows)
    assert loaded.title.startswith("Under load: 1 of ")
    assert [row[2] for row in warm.rows] == [row[2] for row in loaded.rows]
    assert all(row[3] > 0 for row in loaded.rows)


def test_real_time_of_varied_lengths_is_that_of_each_clip():
    clips = [np.zeros(n, np.float32) for n in (800, 800, 1_600, 800)]
    runs = {"fake": lambda clip: time.sleep(len(clip) / 16_000) or np.array([1.0])}
    times = latency._timed(runs, clips, 0)
    assert [len(answers) for answers in times.answers.values()] == [5]  # and the first run of all
    assert times.quiet["fake"][1] > times.quiet["fake"][0] * 1.5


@pytest.mark.slow
def test_an_engine_beside_is_a_row_of_both_tables(e2v_bench, tmp_path):
    text = e2v_bench("latency", "-s", 1, "--rounds", 1, "-v", "int8", "--threads", 1, "-o", tmp_path,
                     "--beside", "the same elsewhere", f"{sys.executable} --precision int8",
                     "--beside", "in float", f"{sys.executable} --precision fp32")  # fmt: skip
    assert "in float: ONNX Runtime 1." in text
    warm, cold = read_document(tmp_path / "latency.json").tables
    assert [row[1] for row in warm.rows] == ["int8", "the same elsewhere", "in float"]
    assert [row[0] for row in cold.rows] == ["int8", "the same elsewhere", "in float"]
    far = {row[1]: row[7] for row in warm.rows}
    assert far["the same elsewhere"] < 1e-5 < far["in float"] < 0.3
    assert str(sys.executable) not in (tmp_path / "latency.json").read_text()


@pytest.mark.parametrize("name", ["int8", "openvino", "twice"])
def test_an_engine_beside_has_a_name_of_its_own(name):
    beside = ((name, "python"), ("twice", "python"), ("twice", "python"))
    settings = latency.LatencySettings(beside=beside, baselines=("openvino",), checkpoint=Path())
    with pytest.raises(OptionError, match="another runner has this name"):
        settings.check()
