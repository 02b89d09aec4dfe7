"""The measuring is measured: timing, accuracy and its interval against what is known."""

import subprocess
import sys
import time

import numpy as np
import pytest
from click.testing import CliRunner

from emotion2vec_edge.benchmarks import accuracy, random_checkpoint, recordings, windows
from emotion2vec_edge.benchmarks.timing import interleaved
from emotion2vec_edge.engine import example_recordings
from emotion2vec_edge.export.checkpoint import load_checkpoint


def test_a_sleep_is_measured_as_what_it_sleeps():
    (runs,) = interleaved([lambda: time.sleep(0.02)], 5)
    assert len(runs) == 5
    assert min(runs) >= 0.02
    assert np.median(runs) < 0.04


def test_tasks_take_turns_and_warm_up_is_left_out():
    order = []
    runs = interleaved([lambda: order.append("a"), lambda: order.append("b")], 3)
    assert "".join(order) == "abababab"
    assert [len(run) for run in runs] == [3, 3]


def test_unweighted_accuracy_is_the_mean_recall():
    truth = np.array([0, 0, 0, 0, 1, 1])
    found = np.array([0, 0, 0, 2, 1, 0])
    assert accuracy.unweighted_accuracy(truth, found) == pytest.approx((0.75 + 0.5) / 2)
    low, high = accuracy.bootstrap_interval(truth, found)
    assert low < 0.625 < high


def test_calibration_error_of_a_known_case():
    right = np.array([True, False, True, False])
    assert accuracy.calibration_error(right, np.full(4, 0.5)) == pytest.approx(0)
    assert accuracy.calibration_error(right, np.full(4, 0.9)) == pytest.approx(0.4)


def test_random_checkpoints_are_read_by_the_exporter(tmp_path, small_checkpoint):
    done = CliRunner().invoke(
        random_checkpoint.main,
        [
            str(small_checkpoint / "config.yaml"),
            str(small_checkpoint / "tokens.txt"),
            "-o",
            str(tmp_path / "c"),
        ],
    )
    assert done.exit_code == 0, done.output
    assert "5,458,317 random weights" in done.output
    assert len(load_checkpoint(tmp_path / "c").labels) == 9


def test_the_windows_table():
    done = CliRunner().invoke(
        windows.main, [str(example_recordings()[0]), "--seconds", "3", "--rounds", "2"]
    )
    assert done.exit_code == 0, done.output
    assert "59" in done.output  # windows of 3 s at 0.1 s / 0.05 s
    assert done.output.count("x") >= 3


def test_the_peak_of_a_process_is_its_own():
    ballast = np.ones(50_000_000)
    seconds, peak = recordings.run(
        sys.executable, "-c", "import time; x = bytearray(60 << 20); time.sleep(0.3)"
    )
    assert ballast.sum() > 0
    assert 60 < peak < 90
    assert seconds > 0.3
    with pytest.raises(subprocess.CalledProcessError):
        recordings.run(sys.executable, "-c", "raise SystemExit(1)")


def test_long_recordings_batches_and_streams():
    done = CliRunner().invoke(
        recordings.main,
        [*["--files", "6", "--rounds", "1", "--live-seconds", "3", "--whole-seconds", "61", "--kill-rounds", "1"],
         *["--part", "chunks", "--part", "batch", "--part", "stream", "--part", "kill"]],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "batch --jobs 2" in done.output
    assert "3 windows of 2 s" in done.output
    assert "against those encoded alone: same label 100.0%" in done.output
    assert "0 results lost, 0 files torn; 60 results equal to" in done.output
    assert "recording |dp| max" in done.output


def test_accuracy_on_a_manifest(tmp_path, recognizer):
    path = example_recordings()[0]
    label = recognizer.recognize(path).emotion
    other = next(name for name in recognizer.labels if name != label)
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.flac").write_bytes(path.read_bytes())
    (tmp_path / "m.csv").write_text(
        f"path,label,split\ncorpus/a.flac,{label},test\ncorpus/a.flac,{other},test\n"
        "corpus/a.flac,bored,test\ncorpus/a.flac,sad,train\ncorpus/gone.flac,sad,test\n"
    )
    done = CliRunner().invoke(accuracy.main, [str(tmp_path / "m.csv")])
    assert done.exit_code == 0, done.output
    assert "corpus          2  0.500  0.500" in done.output
    assert "2 clips left out" in done.output
