"""The measuring is measured: timing, accuracy and its interval, counts, against what is known."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
from click.testing import CliRunner

from emotion2vec_edge.benchmarks import baselines, latency, machine, models, process, roofline
from emotion2vec_edge.benchmarks.cli import bench
from emotion2vec_edge.benchmarks.compare import compare
from emotion2vec_edge.benchmarks.degradations import codec, gain, narrow, noise
from emotion2vec_edge.benchmarks.document import Column, Document, Table, read_document
from emotion2vec_edge.benchmarks.timing import interleaved, percentiles, ratio
from emotion2vec_edge.engine import Recognizer, example_recordings, metrics
from emotion2vec_edge.engine.errors import MissingExtraError, OptionError, ProviderError
from emotion2vec_edge.export.checkpoint import load_checkpoint
from emotion2vec_edge.export.config import read_config


@pytest.fixture(autouse=True)
def _do_not_watch(monkeypatch):
    monkeypatch.setattr(machine.describe, "__defaults__", (0.01,))


def e2v_bench(*args, code=0):
    done = CliRunner().invoke(bench, [str(arg) for arg in args], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    assert (done.return_value or 0) == code
    return done.output


# Timing.


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


def test_a_slow_first_call_does_not_count():
    calls = []

    def task():
        time.sleep(0.0 if calls else 0.2)
        calls.append(1)

    (runs,) = interleaved([task], 3)
    assert max(runs) < 0.1


def test_percentiles_are_those_of_numpy(rng):
    runs = rng.exponential(size=101)
    assert percentiles(runs) == tuple(np.percentile(runs, [50, 90, 99]))


def test_a_ratio_is_of_the_rounds():
    """What slows a whole round does not move it."""
    fast = np.array([1.0, 1.0, 5.0, 1.0, 1.0])
    found = ratio(3 * fast, fast)
    assert (found.median, found.low, found.high) == (3.0, 3.0, 3.0)
    assert str(ratio([2.0, 4.0, 6.0], [1.0, 1.0, 1.0])) == "4.00 [3.00, 5.00]"


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


# Metrics.


def test_unweighted_accuracy_is_the_mean_recall():
    truth = np.array([0, 0, 0, 0, 1, 1])
    found = np.array([0, 0, 0, 2, 1, 0])
    assert metrics.unweighted_accuracy(truth, found) == pytest.approx((0.75 + 0.5) / 2)
    assert metrics.recalls(truth, found) == {0: 0.75, 1: 0.5}
    low, high = metrics.bootstrap_interval(truth, found)
    assert low < 0.625 < high


def test_macro_f1_and_confusion_agree_with_scikit_learn(rng):
    sklearn = pytest.importorskip("sklearn.metrics")
    truth, found = rng.integers(0, 4, 200), rng.integers(0, 6, 200)
    expected = sklearn.f1_score(truth, found, average="macro", labels=range(4))
    assert metrics.macro_f1(truth, found) == pytest.approx(expected)
    np.testing.assert_array_equal(
        metrics.confusion(truth, found, 6), sklearn.confusion_matrix(truth, found, labels=range(6))
    )


def test_calibration_error_of_a_known_case():
    right = np.array([True, False, True, False])
    assert metrics.calibration_error(right, np.full(4, 0.5)) == pytest.approx(0)
    assert metrics.calibration_error(right, np.full(4, 0.9)) == pytest.approx(0.4)


def test_mcnemar_of_known_cases():
    same = np.array([True, False] * 10)
    assert metrics.mcnemar(same, same) == 1.0
    a = np.array([True] * 10 + [False])
    assert metrics.mcnemar(a, ~a) == pytest.approx(2 * 12 / 2**11)  # 10 against 1 of 11 coins
    scipy = pytest.importorskip("scipy.stats")
    assert metrics.mcnemar(a, ~a) == pytest.approx(scipy.binomtest(1, 11).pvalue)


# Conditions.


def test_conditions_do_what_they_say(example_samples):
    noisy = noise(10).apply(example_samples)
    added = noisy - example_samples
    snr = 10 * np.log10(np.mean(example_samples**2) / np.mean(added**2))
    assert snr == pytest.approx(10, abs=0.1)
    np.testing.assert_array_equal(noisy, noise(10).apply(example_samples))
    assert np.abs(gain(40).apply(example_samples)).max() == 1.0
    np.testing.assert_allclose(gain(-20).apply(example_samples), example_samples / 10, rtol=1e-5)
    spectrum = np.abs(np.fft.rfft(narrow(8_000).apply(example_samples)))
    assert spectrum[len(spectrum) * 6 // 10 :].max() < 0.01 * spectrum.max()
    coded = codec("opus:16k").apply(example_samples)
    assert abs(len(coded) - len(example_samples)) < 1_000
    assert 0.7 < np.corrcoef(coded, example_samples[: len(coded)])[0, 1] < 0.9999
    for bad in ("opus", "opus:loud", "tape:16k"):
        with pytest.raises(OptionError, match="opus:16k"):
            codec(bad)
    with pytest.raises(OptionError):
        narrow(48_000)


# Documents.


def document(value=10.0, share=0.5):
    table = Table(
        "Speed",
        [
            Column("what"),
            Column("ms", ".1f", "lower"),
            Column("share", ".0%", "higher"),
            Column("n", "d"),
        ],
        [["a", value, share, 3], ["b", None, 0.25, 4]],
        note="a note",
    )
    return Document("speed", {"n": 1}, ["model: random"], machine.describe(), [table])


def test_a_document_as_text_markdown_and_json(tmp_path):
    one = document()
    assert "a     10.0    50%  3" in one.text()
    assert "b        –    25%  4" in one.text()
    assert "| a | 10.0 | 50% | 3 |" in one.markdown()
    one.write(tmp_path / "new")
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["speed.json", "speed.md"]
    assert read_document(tmp_path / "new" / "speed.json") == one
    facts = json.loads((tmp_path / "new" / "speed.json").read_text())
    assert facts["machine"]["processors"] >= 1
    assert facts["models"] == ["model: random"]


def test_a_busy_machine_is_told():
    import dataclasses

    quiet = dataclasses.replace(machine.describe(), busy=0.02)
    assert not any("NOT A QUIET" in line for line in quiet.lines())
    assert any("NOT A QUIET" in line for line in dataclasses.replace(quiet, busy=0.3).lines())


def test_compare(tmp_path):
    document().write(tmp_path / "old")
    document(12.0, 0.6).write(tmp_path / "new")
    old, new = tmp_path / "old" / "speed.json", tmp_path / "new" / "speed.json"
    found = compare(old, new, 1.1)
    assert [row[1:5] for row in found.table.rows] == [
        ["ms", 10.0, 12.0, pytest.approx(1.2)],
        ["share", 0.5, 0.6, pytest.approx(0.5 / 0.6)],
        ["share", 0.25, 0.25, 1.0],
    ]
    assert found.worse == ["a, ms: 10 → 12"]
    assert "WORSE" in e2v_bench("compare", old, new, code=1)
    e2v_bench("compare", old, new, "--threshold", 1.3)
    e2v_bench("compare", old, old)
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(OptionError, match="not the JSON of a benchmark"):
        compare(old, tmp_path / "x.json", 1.1)
    other = document()
    other.name = "size"
    other.write(tmp_path / "new")
    with pytest.raises(OptionError, match="is of speed"):
        compare(old, tmp_path / "new" / "size.json", 1.1)


# The commands.


def test_latency_with_peers(small_checkpoint, small_bundle, tmp_path):
    names = ["torch", "torch-int8", "torch-sdpa", "funasr", "ort", "ort-naive-int8"]
    options = [option for name in names for option in ("--peers", name)]
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


def test_throughput_with_a_peer(small_checkpoint, small_bundle, tmp_path):
    text = e2v_bench("throughput", "-s", 1, "-b", 1, "-b", 3, "--rounds", 2, "-p", "torch-sdpa",
                     "--model", small_bundle, "--checkpoint", small_checkpoint,
                     "-o", tmp_path)  # fmt: skip
    assert "clips/s" in text
    assert (tmp_path / "throughput.png").read_bytes().startswith(b"\x89PNG")
    (table,) = read_document(tmp_path / "throughput.json").tables
    assert [row[1:3] for row in table.rows] == [
        [size, name] for size in ("1", "3") for name in ("fp32", "int8", "torch-sdpa")
    ]
    for _, size, name, milliseconds, clips, times, far in table.rows:
        assert clips == pytest.approx(int(size) / milliseconds * 1000)
        assert times == pytest.approx(clips)
        assert far < (1e-4 if name != "int8" else 0.3)


def test_peers_are_compared_at_the_temperature_of_the_bundle(monkeypatch, tmp_path):
    raw = np.array([0.7, 0.2, 0.1])
    monkeypatch.setitem(baselines.PEERS, "torch", (lambda _settings: lambda _samples: raw, "", ""))
    settings = baselines.PeerSettings(tmp_path, 1, tmp_path, temperature=2.0)
    tempered = baselines.build_peer("torch", settings)(np.zeros(1, np.float32))
    logits = np.log(raw) / 2
    np.testing.assert_allclose(tempered, np.exp(logits) / np.exp(logits).sum())


def test_a_gpu_that_torch_does_not_find(small_checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.nn.Module.to", lambda module, *_: module)
    settings = baselines.PeerSettings(small_checkpoint, 1, tmp_path, "cuda")
    with pytest.raises(ProviderError, match="finds no GPU"):
        baselines.build_peer("torch-sdpa", settings)


def test_a_peer_that_is_not_there(small_checkpoint, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)
    settings = baselines.PeerSettings(small_checkpoint, 1, tmp_path)
    with pytest.raises(MissingExtraError, match="pip install openvino nncf"):
        baselines.build_peer("openvino", settings)
    with pytest.raises(OptionError, match="--checkpoint"):
        latency.measure(latency.LatencySettings(peers=("torch",)), print)


def test_the_windows_table():
    text = e2v_bench(
        "windows", example_recordings()[0], "--seconds", 3, "--rounds", 2, "--clips", 1
    )
    assert "0.1 / 0.05         59" in text
    assert "Why they differ" in text


def test_accuracy_on_a_manifest(tmp_path, recognizer):
    path = example_recordings()[0]
    label = recognizer.recognize(path).emotion
    other = next(name for name in recognizer.labels if name != label)
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.flac").write_bytes(path.read_bytes())
    (tmp_path / "m.csv").write_text(
        f"path,label,split\ncorpus/a.flac,{label},test\ncorpus/a.flac,{other},test\n"
        "corpus/a.flac,envious,test\ncorpus/a.flac,sad,train\ncorpus/gone.flac,sad,test\n"
    )
    text = e2v_bench("accuracy", tmp_path / "m.csv", "--noise-snr", 10, "--gain", -10, "--rate", 8000,
                     "-o", tmp_path / "out")  # fmt: skip
    assert "1 clips left out: label 'envious', which the model does not have" in text
    assert "1 clips left out: AudioNotFoundError" in text
    tables = read_document(tmp_path / "out" / "accuracy.json").tables
    scores, agreement, by_label, confusion, conditions = tables
    assert [row[:4] for row in scores.rows] == [
        ["corpus", "fp32", 2, 0.5], ["corpus", "int8", 2, 0.5],
    ]  # fmt: skip
    assert agreement.rows[0][2] == 1.0
    assert {row[1] for row in by_label.rows} == {"fp32", "int8"}
    assert sum(cell for row in confusion.rows for cell in row[1:]) == 2
    assert [row[0] for row in conditions.rows[::2]] == [
        "clean",
        "noise 10 dB",
        "gain -10 dB",
        "8000 Hz",
    ]
    with pytest.raises(OptionError, match="no clip could be used"):
        e2v_bench("accuracy", tmp_path / "m.csv", "--split", "other")


def test_the_roofline(tmp_path):
    text = e2v_bench("roofline", "--seconds", 2, "-o", tmp_path)
    assert "multiply-adds a second of audio" in text
    (summary, operators) = read_document(tmp_path / "roofline.json").tables
    facts = {row[0]: row[1] for row in summary.rows}
    assert 0 < facts["of the whole pass"] < 100
    assert facts["this machine's best at these shapes, int8"] > 1
    assert {"DynamicQuantizeMatMul", "MultiHeadAttention"} <= {row[0] for row in operators.rows}


def test_multiply_adds_are_counted_right(recognizer, example_samples, embedding_shape):
    """The blocks' products: 8 · dim² of each of (frames + extra tokens), in each block."""
    work = roofline.profile(recognizer, example_samples[:32_000])
    (dim,), hidden = embedding_shape, 2  # the embedded model's MLP is twice as wide
    frames, blocks = 99 + 10, 6
    blocks_macs = blocks * (4 + 2 * hidden) * dim * dim * frames
    attention = blocks * 2 * frames * frames * dim
    products = work["MatMul"].macs + work.get("FusedMatMul", roofline.Work()).macs
    assert products > blocks_macs
    assert products < 4 * blocks_macs  # the front-end comes on top
    unfused = work.get("MultiHeadAttention")
    if unfused:
        assert unfused.macs == pytest.approx(attention)
    event = {"dur": 10.0, "args": {"op_name": "Conv", "output_type_shape": [{"float": [1, 8, 50]}],
             "input_type_shape": [{"float": [1, 4, 52]}, {"float": [8, 4, 3]}]}}  # fmt: skip
    counted = {"Conv": roofline.Work()}
    roofline._count(event, counted)
    assert counted["Conv"].macs == 8 * 50 * 4 * 3


def test_the_peak_of_a_process_is_its_own():
    ballast = np.ones(50_000_000)
    seconds, peak = process.run(
        sys.executable, "-c", "import time; x = bytearray(60 << 20); time.sleep(0.3)"
    )
    assert ballast.sum() > 0
    assert 60 < peak < 90
    assert seconds > 0.3
    with pytest.raises(subprocess.CalledProcessError):
        process.run(sys.executable, "-c", "raise SystemExit(1)")


def test_long_recordings_batches_and_streams(tmp_path):
    options = {
        "--files": 6,
        "--rounds": 1,
        "--live-seconds": 3,
        "--whole-seconds": 61,
        "--kill-rounds": 1,
    }
    flat = [part for item in options.items() for part in item]
    parts = [part for name in ("chunks", "batch", "stream", "kill") for part in ("--part", name)]
    e2v_bench("recordings", *flat, *parts, "-o", tmp_path)
    (table,) = read_document(tmp_path / "recordings.json").tables
    facts = {(row[0], row[3]): row[2] for row in table.rows}
    assert facts["folder", "files/s"] > 1
    assert facts["kill -9", "results lost"] == 0
    assert facts["kill -9", "files half-written"] == 0
    assert facts["kill -9", "results unlike an undisturbed run's"] == 0
    alone = [row for row in table.rows if "encoded alone" in row[1]]
    assert alone[0][2] == 100.0
    assert alone[2][2] < 0.01


def test_a_random_model_in_a_real_shape(tmp_path, monkeypatch):
    for shape, parameters in {"base": 93.2e6, "plus_large": 162.1e6}.items():
        config = read_config(models.shape_config(shape))
        weights = sum(w.numel() for w in _meta_weights(config))
        assert weights == pytest.approx(parameters, rel=0.005)
    monkeypatch.setitem(models.SHAPES, "plus_large", (64, 4))
    e2v_bench("random-model", "-o", tmp_path / "b", "--checkpoint", tmp_path / "c", "--no-int8")
    recognizer = Recognizer.load(tmp_path / "b")
    assert "RANDOM weights" in models.model_line(recognizer)
    assert len(load_checkpoint(tmp_path / "c").labels) == 9
    assert recognizer.recognize(example_recordings()[0]).confidence > 0


def test_funasr_takes_a_random_model_in_a_real_shape(funasr_model, monkeypatch):
    monkeypatch.setitem(models.SHAPES, "plus_large", (64, 4))
    model = funasr_model(**models.shape_config("plus_large"), vocab_size=9)
    ours = models.random_weights(read_config(models.shape_config("plus_large")), 9)
    assert not model.load_state_dict(ours).unexpected_keys


def _meta_weights(config):
    import torch

    from emotion2vec_edge.export.model import Emotion2vec

    with torch.device("meta"):
        return list(Emotion2vec(config, 9).state_dict().values())


def test_a_report(tmp_path, test_clips):
    from conftest import SHARED

    e2v_bench("report", "--speech", SHARED / "speech" / "manifest.csv", "--most", 2, "--rounds", 1,
              "-o", tmp_path)  # fmt: skip
    names = {path.name for path in tmp_path.iterdir()}
    assert {"README.md", "report.html", "accuracy.png", "latency_small.json", "windows.md"} <= names
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert "http" not in page.split("<body>")[1]  # it needs nothing from elsewhere
    assert "## Accuracy" in (tmp_path / "README.md").read_text()
