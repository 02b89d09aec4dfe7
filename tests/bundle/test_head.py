"""A head of one's own, confidence that means something, and answers that are not given."""

import dataclasses
import json

import numpy as np
import pytest

from emotion2vec_edge.engine import Recognizer, open_bundle
from emotion2vec_edge.engine.bundle import locate
from emotion2vec_edge.engine.bundle.head import Head
from emotion2vec_edge.engine.bundle.integrity import sha256_of
from emotion2vec_edge.engine.bundle.manifest import BundleFile, Calibration, Label
from emotion2vec_edge.engine.errors import BundleFormatError, BundleTamperedError, OptionError
from emotion2vec_edge.engine.metrics import softmax
from emotion2vec_edge.engine.results.decision import decide
from emotion2vec_edge.engine.results.timeline import Timeline


def rewrite(folder, **changes):
    manifest = dataclasses.replace(open_bundle(folder).manifest, **changes)
    (folder / "bundle.json").write_text(manifest.to_json(), encoding="utf-8")


def add_head(folder, weight, bias, labels):
    np.savez(folder / "head.npz", weight=weight, bias=bias)
    path = folder / "head.npz"
    rewrite(
        folder,
        head=BundleFile("head.npz", path.stat().st_size, sha256_of(path)),
        labels=tuple(Label(label, label) for label in labels),
    )


def test_a_head_takes_the_place_of_the_graphs_own(copy, example, recognizer, rng):
    dim = len(recognizer.encode(example).embedding())
    weight, bias = rng.standard_normal((3, dim)).astype(np.float32), np.float32([0, 1, 2])
    add_head(copy, weight, bias, ["calm", "tense", "lost"])
    for precision in ("fp32", "int8"):
        found = Recognizer.load(copy, precision=precision)
        encoding = found.encode(example)
        expected = softmax(encoding.embedding() @ weight.T + bias)
        np.testing.assert_allclose(list(encoding.utterance().scores.values()), expected, atol=1e-5)
        assert encoding.timeline(0.5, 0.25).scores.shape[1] == 3
    assert found.labels == ("calm", "tense", "lost")
    samples = np.zeros(16_000, np.float32)
    assert set(next(iter(found.stream([samples]))).scores) == set(found.labels)


@pytest.mark.parametrize(
    ("weight", "bias"),
    [
        (np.zeros((2, 8)), np.zeros(3)),
        (np.zeros(8), np.zeros(3)),
        (np.full((3, 8), np.nan), np.zeros(3)),
    ],
)
def test_what_is_no_head_is_refused(copy, weight, bias):
    add_head(copy, weight, bias, ["a", "b", "c"])
    with pytest.raises(BundleFormatError, match="not a head"):
        Recognizer.load(copy)


def test_a_damaged_head_is_refused(copy):
    add_head(copy, np.zeros((2, 8)), np.zeros(2), ["a", "b"])
    content = bytearray((copy / "head.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (copy / "head.npz").write_bytes(content)
    with pytest.raises(BundleTamperedError):
        Recognizer.load(copy)
    (copy / "head.npz").write_bytes(b"")
    with pytest.raises(BundleTamperedError):
        Recognizer.load(copy)


def test_a_temperature_changes_confidence_and_no_answer(copy, example):
    plain = Recognizer.load(copy, precision="fp32")
    before = plain.encode(example)
    temperature = 2.5 * (before.utterance().calibrated or 1)
    rewrite(copy, calibration=Calibration(temperature))
    after = Recognizer.load(copy, precision="fp32").encode(example)
    assert after.utterance().calibrated
    assert after.utterance().to_dict()["calibrated"] is True
    assert after.utterance().emotion == before.utterance().emotion
    assert after.utterance().confidence < before.utterance().confidence
    scale = open_bundle(locate.DEFAULT_NAME).manifest.calibration.temperature
    np.testing.assert_allclose(after.logits * temperature, before.logits * scale, rtol=1e-4)


@pytest.mark.parametrize("temperature", [0, -1, "hot", float("inf"), None])
def test_a_temperature_that_is_none_is_refused(copy, temperature):
    document = json.loads((copy / "bundle.json").read_text())
    document["calibration"] = {"temperature": temperature}
    (copy / "bundle.json").write_text(json.dumps(document))
    with pytest.raises(BundleFormatError):
        open_bundle(copy)


def test_a_bundle_of_the_first_schema_is_read(copy):
    document = json.loads((copy / "bundle.json").read_text())
    for name in ("head", "calibration"):
        document.pop(name, None)
    document["schema"] = 1
    (copy / "bundle.json").write_text(json.dumps(document))
    assert open_bundle(copy).manifest.calibration is None
    assert not Recognizer.load(copy).recognize(np.ones(16_000), 16_000).calibrated


def test_a_head_without_weights_leaves_logits_alone(rng):
    frames, logits = rng.standard_normal((5, 4)), rng.standard_normal((5, 3)).astype(np.float32)
    assert Head()(frames, logits) is logits
    assert Head()(frames, None) is None
    np.testing.assert_allclose(Head(temperature=2.0)(frames, logits), logits / 2)


def test_below_a_limit_the_answer_is_unknown(example):
    sure = Recognizer.load()
    heard = sure.recognize(example)
    strict = Recognizer.load(reject_below=min(1.0, heard.confidence + 0.01))
    rejected = strict.recognize(example)
    assert (heard.emotion != "unknown", rejected.emotion) == (True, "unknown")
    assert rejected.confidence == heard.confidence
    assert rejected.scores == heard.scores
    samples = np.zeros(16_000, np.float32)
    samples[::7] = 0.1
    assert [w.emotion for w in Recognizer.load(reject_below=1.0).stream([samples])] == ["unknown"]
    for value in (-0.1, 1.1, float("nan")):
        with pytest.raises(OptionError, match="probability"):
            Recognizer.load(reject_below=value)


def test_a_limit_is_reached_by_being_equal():
    assert decide(("a", "b"), np.float32([0.5, 0.5]), 0.5) == ("a", 0.5)
    assert decide(("a", "b"), np.float32([0.5, 0.5]), 0.51) == ("unknown", 0.5)


@pytest.mark.parametrize("labels", [("a", "b"), ("a", "unknown")])
def test_windows_and_segments_are_rejected_alike(labels):
    scores = np.float32([[0.9, 0.1], [0.55, 0.45], [0.55, 0.45], [0.8, 0.2]])
    starts = np.arange(4.0)
    timeline = Timeline(labels, starts, starts + 1, scores, reject_below=0.6)
    assert [w.emotion for w in timeline] == ["a", "unknown", "unknown", "a"]
    segments = timeline.segments()
    assert [(s.start, s.end, s.emotion) for s in segments] == [
        (0.0, 1.0, "a"), (1.0, 3.0, "unknown"), (3.0, 4.0, "a"),
    ]  # fmt: skip
    assert segments[1].confidence == pytest.approx(0.55)
