"""A head of one's own, confidence that means something, and answers that are not given."""

import dataclasses
import io
import json
import tracemalloc
import zipfile

import numpy as np
import pytest

from emotion2vec_edge.engine import Recognizer, open_bundle
from emotion2vec_edge.engine.bundle import locate
from emotion2vec_edge.engine.bundle.head import Head, read_head
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
        logits = encoding.embedding() @ weight.T + bias
        expected = softmax(logits / found.bundle.manifest.calibration.temperature)
        np.testing.assert_allclose(list(encoding.utterance().scores.values()), expected, atol=1e-5)
        assert encoding.timeline(0.5, 0.25).scores.shape[1] == 3
    assert found.labels == ("calm", "tense", "lost")
    samples = np.zeros(16_000, np.float32)
    assert set(next(iter(found.stream([samples]))).scores) == set(found.labels)


def npy(array):
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def npz(weight, bias, compression=zipfile.ZIP_STORED):
    """Bytes of a head.npz of two .npy files, or of what stands for them."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, array in (("weight.npy", weight), ("bias.npy", bias)):
            archive.writestr(name, array if isinstance(array, bytes) else npy(array))
    return content.getvalue()


GOOD = np.zeros((3, 8)), np.zeros(3)


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_heads_of_every_float_are_read(tmp_path, rng, dtype, order):
    weight = np.asarray(rng.standard_normal((3, 8)), dtype, order)
    bias = np.asarray(rng.standard_normal(3), dtype)
    (tmp_path / "head.npz").write_bytes(npz(weight, bias, zipfile.ZIP_DEFLATED))
    read = read_head(tmp_path / "head.npz", 3, 8)
    np.testing.assert_array_equal(read[0], weight.astype(np.float32))
    np.testing.assert_array_equal(read[1], bias.astype(np.float32))
    assert {array.dtype for array in read} == {np.dtype("<f4")}


def huge_header(shape):
    """A small .npy that says that it holds a large array."""
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        content, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "File is not a zip file"),
        (b"no zip at all", "File is not a zip file"),
        (npz(*GOOD)[:-30], "not a zip file"),
        (npz(*GOOD).replace(b"weight.npy", b"height.npy"), "no item named 'weight.npy'"),
        (
            npz(np.zeros((2, 8)), np.zeros(3)),
            r"weight: its shape is \(2, 8\), and \(3, 8\) is needed",
        ),
        (npz(np.zeros((3, 9)), np.zeros(3)), r"weight: its shape is \(3, 9\)"),
        (npz(np.zeros(8), np.zeros(3)), r"weight: its shape is \(8,\)"),
        (npz(np.zeros((3, 8)), np.zeros((3, 1))), r"bias: its shape is \(3, 1\)"),
        (npz(np.full((3, 8), np.nan), np.zeros(3)), "NaN"),
        (npz(np.zeros((3, 8)), np.full(3, -np.inf)), "bias: it holds values beyond"),
        (npz(np.full((3, 8), 3e38), np.zeros(3)), r"weight: it holds values beyond ±1e\+06"),
        (
            npz(np.zeros((3, 8), np.int64), np.zeros(3)),
            "weight: its type is <i8, and one of <f2",
        ),
        (npz(np.zeros((3, 8), "U3"), np.zeros(3)), "weight: its type is <U3, and one of"),
        (npz(npy(np.zeros((3, 8)))[:-1], np.zeros(3)), "buffer is smaller"),
        (npz(b"\x93NUMPY\x03\x00", np.zeros(3)), "weight: not a .npy file of version 1 or 2"),
        (
            npz(b"\x93NUMPY\x01\x00\xff\xff{", np.zeros(3)),
            "its header is not that of an array of numbers",
        ),
        (npz(huge_header((1 << 40, 8)), np.zeros(3)), "weight: its shape is"),
        (npz(huge_header((3, 8)), np.zeros(3)), "buffer is smaller"),
        (npz(bytes(10 << 20), np.zeros(3), zipfile.ZIP_DEFLATED), "10485760 bytes, more than"),
        (npz(*GOOD, zipfile.ZIP_LZMA), "compressed in an unknown way"),
    ],
    ids=range(20),
)
def test_what_is_no_head_is_refused(tmp_path, content, message):
    (tmp_path / "head.npz").write_bytes(content)
    with pytest.raises(BundleFormatError, match=f"head.npz: not a head: .*{message}"):
        read_head(tmp_path / "head.npz", 3, 8)


def test_an_array_of_objects_is_never_unpickled(tmp_path):
    content = io.BytesIO()
    np.save(content, np.full((3, 8), None), allow_pickle=True)
    (tmp_path / "head.npz").write_bytes(npz(content.getvalue(), np.zeros(3)))
    with pytest.raises(BundleFormatError, match="its type is .O, and one of"):
        read_head(tmp_path / "head.npz", 3, 8)


def test_a_bomb_takes_no_memory(tmp_path):
    """The size in the archive's list may lie: no more is unpacked than it says, and a checksum."""
    packed = bytearray(
        npz(npy(np.zeros((3, 8))) + bytes(50 << 20), *GOOD[1:], zipfile.ZIP_DEFLATED)
    )
    real = (len(npy(np.zeros((3, 8)))) + (50 << 20)).to_bytes(4, "little")
    (tmp_path / "head.npz").write_bytes(packed.replace(real, (320).to_bytes(4, "little")))
    tracemalloc.start()
    try:
        with pytest.raises(BundleFormatError, match="Bad CRC-32"):
            read_head(tmp_path / "head.npz", 3, 8)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_a_head_of_another_size_than_the_model_is_refused(copy, embedding_shape):
    add_head(copy, np.zeros((3, 8)), np.zeros(3), ["a", "b", "c"])
    with pytest.raises(BundleFormatError, match=rf"\(3, {embedding_shape[0]}\) is needed"):
        Recognizer.load(copy)


def test_a_head_without_labels_is_refused(copy):
    add_head(copy, np.zeros((0, 8)), np.zeros(0), [])
    with pytest.raises(BundleFormatError, match="labels should be those of the head"):
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
    for name in ("head", "calibration", "space"):
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
