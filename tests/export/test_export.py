"""A checkpoint becomes a bundle, or nothing at all."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from checkpoints import document, write_checkpoint

from emotion2vec_edge.engine import Recognizer, load_audio
from emotion2vec_edge.engine.errors import (
    CheckpointError,
    HubError,
    NoHeadError,
    OptionError,
    OutputError,
    ParityError,
)
from emotion2vec_edge.export import exporter, graph, hub, parity
from emotion2vec_edge.export.exporter import ExportSettings, export_bundle, export_merged


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    write_checkpoint(folder)
    return hub.resolve(str(folder), offline=True)


@pytest.fixture(scope="module")
def exported(checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "tiny-bundle"
    export_bundle(checkpoint, ExportSettings(folder, licence="test"))
    return folder


def test_a_bundle_is_complete(exported):
    assert sorted(p.relative_to(exported).as_posix() for p in exported.rglob("*")) == [
        "bundle.json", "fp32", "fp32/encoder.onnx", "fp32/frontend.onnx",
    ]  # fmt: skip
    manifest = json.loads((exported / "bundle.json").read_text())
    assert manifest["name"] == "tiny"
    assert manifest["source"]["licence"] == "test"
    assert len(manifest["variants"]["fp32"]["evidence"]["parity"]["cases"]) == 10
    assert not list(exported.parent.glob(".*"))


def test_the_graphs_keep_the_contract(exported):
    frontend = onnx.load(exported / "fp32" / "frontend.onnx")
    encoder = onnx.load(exported / "fp32" / "encoder.onnx")
    for model in (frontend, encoder):
        assert model.opset_import[0].version <= 18
        assert model.ir_version <= 10
        assert all(opset.domain in ("", "ai.onnx") for opset in model.opset_import)
        props = {p.key: p.value for p in model.metadata_props}
        assert json.loads(props["labels"]) == ["angry", "disgusted", "happy", "unknown"]
        assert props["sample_rate"] == "16000"

    def axes(values):
        return {
            v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim]
            for v in values
        }

    assert axes(frontend.graph.input) == {"waveform": ["batch", "samples"]}
    assert axes(frontend.graph.output) == {"features": ["batch", "frames", 32]}
    assert axes(encoder.graph.input) == {"features": ["batch", "frames", 32], "lengths": ["batch"]}
    assert axes(encoder.graph.output) == {
        "frames": ["batch", "frames", 32],
        "logits": ["batch", "frames", 4],
    }


def test_no_path_of_the_exporting_machine_is_left(exported):
    for path in (exported / "fp32").iterdir():
        content = path.read_bytes()
        assert b"site-packages" not in content
        assert b".py" not in content


def test_the_engine_recognizes_with_it(exported, example):
    recognizer = Recognizer.load(exported)
    assert recognizer.labels == ("angry", "disgusted", "happy", "unknown")
    assert recognizer.recognize(example).emotion in recognizer.labels


def test_a_model_without_a_head(tmp_path, example):
    write_checkpoint(tmp_path / "base", tokens=[])
    export_bundle(
        hub.resolve(str(tmp_path / "base"), offline=True), ExportSettings(tmp_path / "out")
    )
    encoding = Recognizer.load(tmp_path / "out").encode(example)
    assert encoding.embedding().shape == (32,)
    with pytest.raises(NoHeadError):
        encoding.utterance()


def test_alibi_scales_per_layer_export_too(tmp_path):
    doc = document(learned_alibi_scale_per_layer=True, layer_norm_first=True, num_extra_tokens=0)
    write_checkpoint(tmp_path / "c", doc)
    export_bundle(hub.resolve(str(tmp_path / "c"), offline=True), ExportSettings(tmp_path / "out"))
    assert (tmp_path / "out" / "bundle.json").is_file()


def test_one_merged_graph(checkpoint, tmp_path, exported, example):
    path = tmp_path / "merged.onnx"
    evidence = export_merged(checkpoint, ExportSettings(path))
    assert evidence["max_abs_difference"]["frames"] <= 1e-4
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
    assert not list(tmp_path.glob(".*"))


def test_a_graph_that_differs_is_not_written(checkpoint, tmp_path, monkeypatch):
    """The gate sees one weight in seven of one matrix off by 1 %."""
    original = exporter.export_graphs

    def spoiled(model, folder, labels, audio):
        original(model, folder, labels, audio)
        path = folder / "encoder.onnx"
        model = onnx.load(path)
        largest = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
        values = onnx.numpy_helper.to_array(largest).copy()
        values.flat[::7] *= np.float32(1.01)
        largest.CopyFrom(onnx.numpy_helper.from_array(values, largest.name))
        onnx.save(model, path)

    monkeypatch.setattr(exporter, "export_graphs", spoiled)
    with pytest.raises(ParityError, match="nothing was written"):
        export_bundle(checkpoint, ExportSettings(tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


def test_nan_does_not_pass_the_gate(checkpoint, monkeypatch):
    model = exporter.load_checkpoint(checkpoint.folder).model

    def run(clips):
        return [[np.full((1 + (len(c) - 400) // 320, 32), np.nan, np.float32)] * 2 for c in clips]

    monkeypatch.setattr(parity, "_torch_alone", lambda _, clip: run([clip])[0])
    with pytest.raises(ParityError):
        parity._compare(model, run, lambda *_: None)


def test_large_weights_go_beside_the_graph(checkpoint, tmp_path, monkeypatch, example, exported):
    monkeypatch.setattr(graph, "EXTERNAL_DATA_BYTES", 10_000)
    export_bundle(checkpoint, ExportSettings(tmp_path / "out"))
    assert (tmp_path / "out" / "fp32" / "encoder.onnx.data").stat().st_size > 10_000
    ours = Recognizer.load(tmp_path / "out").recognize(example)
    assert ours.scores == pytest.approx(Recognizer.load(exported).recognize(example).scores)


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
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(graph.onnx, "save_model", full)
    with pytest.raises(OutputError, match="No space left"):
        export_bundle(checkpoint, ExportSettings(tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_leaves_nothing(checkpoint, tmp_path, monkeypatch):
    def interrupted(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(exporter, "check_bundle", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_bundle(checkpoint, ExportSettings(tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


# Where a checkpoint comes from.


def test_a_local_folder_never_touches_the_network(tmp_path, monkeypatch):
    import socket

    def refuse(*_args, **_kwargs):
        raise AssertionError("network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    source = hub.resolve(str(tmp_path), offline=False)
    assert (source.origin, source.revision) == ("local", None)


@pytest.mark.parametrize(
    ("given", "on", "asked"),
    [
        ("iic/emotion2vec_plus_large", "hf", "emotion2vec/emotion2vec_plus_large"),
        ("emotion2vec/emotion2vec_base", "hf", "emotion2vec/emotion2vec_base"),
        ("emotion2vec/emotion2vec_plus_seed", "ms", "iic/emotion2vec_plus_seed"),
        ("someone/their_own", "hf", "someone/their_own"),
    ],
)
def test_hub_ids_are_asked_under_the_right_owner(monkeypatch, tmp_path, given, on, asked):
    calls = []

    def fetch(model, revision, offline):
        calls.append((model, revision, offline))
        return tmp_path, "abc123"

    monkeypatch.setattr(hub, "_from_huggingface" if on == "hf" else "_from_modelscope", fetch)
    source = hub.resolve(given, hub=on, revision="v1", offline=False)
    assert calls == [(asked, "v1", False)]
    assert source.revision == "abc123"
    assert source.origin == f"{on}:{asked}"
    assert source.name == given.split("/")[1]


def test_the_commit_is_read_off_the_cache(monkeypatch, tmp_path):
    import huggingface_hub

    snapshot = tmp_path / "snapshots" / "0123abcd"
    asked = {}

    def download(model, **options):
        asked.update(options)
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert hub.resolve("iic/x", offline=True).revision == "0123abcd"
    assert asked["local_files_only"] is True
    assert "model.pt" in asked["allow_patterns"]


def test_offline_without_a_cached_copy(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(HubError, match="without --offline"):
        hub.resolve("iic/emotion2vec_plus_seed", offline=True)


def test_neither_folder_nor_hub_id():
    with pytest.raises(CheckpointError, match="no such folder, and not a hub id"):
        hub.resolve("./nothing/here/at/all", offline=False)


def test_bfloat16_weights_are_read_as_float32(tmp_path):
    write_checkpoint(
        tmp_path, wrap=lambda w: {"model": {k: v.to(torch.bfloat16) for k, v in w.items()}}
    )
    model = exporter.load_checkpoint(tmp_path).model
    assert {p.dtype for p in model.parameters()} == {torch.float32}
