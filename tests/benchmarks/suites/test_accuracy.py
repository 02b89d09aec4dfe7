"""Accuracy on a small manifest."""

import pytest
import soundfile

from emotion2vec_edge.benchmarks import degradations
from emotion2vec_edge.benchmarks.reporting.document import read_document
from emotion2vec_edge.engine import example_recordings
from emotion2vec_edge.engine.errors import OptionError


@pytest.mark.slow
def test_accuracy_on_a_manifest(e2v_bench, tmp_path, recognizer):
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
    scores, agreement, by_label, confusion, degraded = tables
    assert [row[:4] for row in scores.rows] == [
        ["corpus", "fp32", 2, 0.5], ["corpus", "int8", 2, 0.5],
    ]  # fmt: skip
    assert agreement.rows[0][2] == 1.0
    assert {row[1] for row in by_label.rows} == {"fp32", "int8"}
    assert sum(cell for row in confusion.rows for cell in row[1:]) == 2
    assert [row[0] for row in degraded.rows[::2]] == [
        "clean",
        "noise 10 dB",
        "gain -10 dB",
        "8000 Hz",
    ]
    with pytest.raises(OptionError, match="no clip could be used"):
        e2v_bench("accuracy", tmp_path / "m.csv", "--split", "other")


@pytest.mark.slow
def test_a_clip_that_a_degradation_makes_too_short_is_left_out(
    e2v_bench, tmp_path, example_samples, monkeypatch
):
    cut = degradations.Degradation("cut", lambda samples: samples[:100])
    monkeypatch.setattr(degradations, "gain", lambda _: cut)
    (tmp_path / "sad").mkdir()
    for name, length in {"long": 16_000, "short": 100}.items():
        soundfile.write(tmp_path / "sad" / f"{name}.wav", example_samples[:length], 16_000)
    with pytest.raises(OptionError, match="no clip could be used") as refusal:
        e2v_bench("accuracy", tmp_path, "--gain", 1, "--codec", "opus:16k", "--split", "all")
    assert "'shorter than 25 ms after a degradation': 1" in str(refusal.value)
    assert "'AudioTooShortError': 1" in str(refusal.value)
