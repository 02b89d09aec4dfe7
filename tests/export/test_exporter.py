"""A checkpoint becomes a bundle or a single graph, or nothing at all."""

import json
import os
import shutil
import signal
import subprocess
import time

import numpy as np
import onnxruntime
import pytest
from checkpoints import FEW_CONVOLUTIONS, TINY, document, write_checkpoint
from commands import E2V

from emotion2vec_edge.engine import Recognizer, load_audio
from emotion2vec_edge.engine.errors import BundleFormatError, NoHeadError, OptionError, OutputError
from emotion2vec_edge.export import exporter, graph, hub
from emotion2vec_edge.export.exporter import ExportSettings, export_bundle, export_merged


@pytest.fixture(scope="module")
def merged(checkpoint, tmp_path_factory):
    """The checkpoint as one graph, whose weights lie beside it as large ones do; and its parity."""
    path = tmp_path_factory.mktemp("merged") / "merged.onnx"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph, "EXTERNAL_DATA_BYTES", 10_000)
        return path, export_merged(checkpoint, ExportSettings(path))


def test_a_bundle_is_complete(exported):
    assert sorted(p.relative_to(exported).as_posix() for p in exported.rglob("*")) == [
        "bundle.json", "fp32", "fp32/encoder.onnx", "fp32/frontend.onnx",
    ]  # fmt: skip
    manifest = json.loads((exported / "bundle.json").read_text())
    assert manifest["name"] == "tiny"
    assert manifest["source"]["licence"] == "test"
    assert len(manifest["variants"]["fp32"]["evidence"]["parity"]["cases"]) == 10
    assert not list(exported.parent.glob(".*"))


def test_the_engine_recognizes_with_it(exported, example):
    recognizer = Recognizer.load(exported)
    assert recognizer.labels == ("angry", "disgusted", "happy", "unknown")
    assert recognizer.recognize(example).emotion in recognizer.labels


def test_the_seven_convolutions_without_a_head_and_with_alibi_scales_per_layer(tmp_path, example):
    doc = document(learned_alibi_scale_per_layer=True, layer_norm_first=True, num_extra_tokens=0)
    write_checkpoint(tmp_path / "base", doc, tokens=[])
    export_bundle(
        hub.resolve(str(tmp_path / "base"), offline=True), ExportSettings(tmp_path / "out")
    )
    encoding = Recognizer.load(tmp_path / "out").encode(example)
    assert encoding.embedding().shape == (32,)
    with pytest.raises(NoHeadError):
        encoding.utterance()


def test_one_merged_graph(merged, exported, example):
    path, parity = merged
    assert parity.frames <= 1e-4
    samples = load_audio(example).samples
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    waveform = np.full((2, len(samples)), 9.0, np.float32)
    waveform[0] = samples
    waveform[1, :20_000] = samples[:20_000]
    lengths = np.array([len(samples), 20_000])
    names = ["probabilities", "embedding"]
    scores, embedding = session.run(names, {"waveform": waveform, "lengths": lengths})
    recognizer = Recognizer.load(exported)
    for row, length in enumerate(lengths):
        utterance = recognizer.recognize(samples[:length], 16_000)
        np.testing.assert_allclose(scores[row], list(utterance.scores.values()), atol=1e-5)
        np.testing.assert_allclose(embedding[row], utterance.embedding, atol=1e-4)
    assert not list(path.parent.glob(".*"))


def test_an_existing_output_is_left_alone(checkpoint, exported, tmp_path):
    before = (exported / "bundle.json").read_text()
    with pytest.raises(OptionError, match="exists already"):
        export_bundle(checkpoint, ExportSettings(exported))
    assert (exported / "bundle.json").read_text() == before
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("irreplaceable")
    with pytest.raises(OptionError, match="holds no bundle.json; it will not be overwritten"):
        export_bundle(checkpoint, ExportSettings(precious, overwrite=True))
    assert (precious / "thesis.txt").read_text() == "irreplaceable"


@pytest.mark.usefixtures("traced")
def test_overwriting_replaces_a_bundle(checkpoint, tmp_path):
    settings = ExportSettings(tmp_path / "out", name="first")
    export_bundle(checkpoint, settings)
    export_bundle(checkpoint, ExportSettings(tmp_path / "out", name="second", overwrite=True))
    assert Recognizer.load(tmp_path / "out").bundle.manifest.name == "second"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_an_output_that_cannot_be_written(checkpoint, tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        export_bundle(checkpoint, ExportSettings(blocker / "out"))


def test_a_full_disk_leaves_nothing(checkpoint, tmp_path, monkeypatch):
    def full(_model, folder, *_):
        (folder / "frontend.onnx").write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporter, "export_graphs", full)
    with pytest.raises(OutputError, match="No space left"):
        export_bundle(checkpoint, ExportSettings(tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("traced")
def test_an_interruption_leaves_nothing(checkpoint, tmp_path, monkeypatch):
    def interrupted(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(exporter, "check_bundle", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_bundle(checkpoint, ExportSettings(tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("kind", ["file", "link", "fifo"])
def test_a_card_is_copied_and_a_link_is_not(tmp_path, kind):
    """A checkpoint from elsewhere may have a link to a file of this machine."""
    (tmp_path / "secret").write_text("of this machine")
    folder = tmp_path / "checkpoint"
    write_checkpoint(folder, TINY)
    card = folder / "README.md"
    if kind == "file":
        card.write_text("a card")
    elif kind == "link":
        card.symlink_to(tmp_path / "secret")
    else:
        os.mkfifo(card)
    told = []
    source = hub.resolve(str(folder), offline=True)
    export_bundle(source, ExportSettings(tmp_path / "b"), lambda step, *_: told.append(step))
    copied = tmp_path / "b" / "README.md"
    assert (copied.read_text() if copied.exists() else None) == (
        "a card" if kind == "file" else None
    )
    assert any("README.md" in step for step in told) == (kind != "file")


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("name", ["a\0b", "x" * 300])
def test_a_name_that_no_manifest_can_hold(checkpoint, tmp_path, name):
    with pytest.raises(BundleFormatError, match="name should be text"):
        export_bundle(checkpoint, ExportSettings(tmp_path / "out", name=name))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("traced")
def test_a_checkpoint_in_a_folder_whose_name_is_no_text(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    write_checkpoint(folder, TINY)
    manifest = export_bundle(hub.resolve(str(folder), offline=True), ExportSettings(tmp_path / "b"))
    assert manifest.name == r"caf\xe9"
    assert Recognizer.load(tmp_path / "b").bundle.manifest == manifest


def test_the_weights_of_a_single_file_belong_to_it(merged, tmp_path, monkeypatch):
    """An old graph never meets new weights: they lie under names of their own."""
    monkeypatch.setattr(graph, "EXTERNAL_DATA_BYTES", 10_000)
    path = tmp_path / "out" / "merged.onnx"
    shutil.copytree(merged[0].parent, path.parent)
    (first,) = path.parent.glob("merged-????????.data")
    doc = document(feature_encoder_spec=FEW_CONVOLUTIONS, depth=1, conv_pos_depth=1)
    write_checkpoint(tmp_path / "other", doc, seed=1)
    source = hub.resolve(str(tmp_path / "other"), offline=True)
    export_merged(source, ExportSettings(path, overwrite=True))
    (second,) = path.parent.glob("merged-????????.data")
    assert first != second
    assert onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(
    ("number", "seconds"), [(signal.SIGTERM, 0.3), (signal.SIGINT, 1.0), (signal.SIGTERM, 2.0)]
)
def test_a_signal_leaves_nothing(checkpoint, tmp_path, number, seconds):
    """Also where torch swallows the exception."""
    process = subprocess.Popen(
        [*E2V, "export", str(checkpoint.folder), "-o", str(tmp_path / "out")],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while "tracing" not in process.stderr.readline():
        assert process.poll() is None
    assert list(tmp_path.iterdir())
    time.sleep(seconds)
    process.send_signal(number)
    process.communicate()
    assert process.returncode == 130
    assert list(tmp_path.iterdir()) == []
