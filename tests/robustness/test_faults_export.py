"""Exports, heads and trainings whose disk fails, or whose process dies, at any operation."""

import contextlib
import dataclasses
import shutil

import numpy as np
import pytest
import torch
from checkpoints import FEW_CONVOLUTIONS, document, write_checkpoint
from faults import Faults, Killed, count
from matplotlib.figure import Figure
from voices import write_corpus

from emotion2vec_edge.engine import open_bundle
from emotion2vec_edge.engine.bundle.integrity import variant_files
from emotion2vec_edge.engine.cli.machine.doctor import ONE_NODE_GRAPH
from emotion2vec_edge.engine.corpora.labelled import read_corpus
from emotion2vec_edge.engine.errors import OutputError
from emotion2vec_edge.export import exporter, hub
from emotion2vec_edge.export.checkpoint.folder import load_checkpoint
from emotion2vec_edge.export.exporter import ExportSettings, export_bundle
from emotion2vec_edge.export.finetune import bundle_head
from emotion2vec_edge.export.finetune.fitting import FittedHead, HeadEvidence
from emotion2vec_edge.export.finetune.training import train as training
from emotion2vec_edge.export.finetune.training.train import TrainingSettings, train
from emotion2vec_edge.export.parity import Parity

LABELS = ["angry", "happy", "sad"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    manifest = write_corpus(tmp_path_factory.mktemp("corpus"), clips=2)
    return read_corpus(manifest, "train")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint") / "model"
    doc = document(feature_encoder_spec=FEW_CONVOLUTIONS, depth=1, conv_pos_depth=1)
    write_checkpoint(folder, doc, tokens=LABELS)
    return folder


@pytest.fixture
def export(checkpoint, monkeypatch):
    """Export the checkpoint under a name, without tracing and comparing it."""

    def traced(_model, folder, *_):
        for name in ("frontend", "encoder"):
            (folder / f"{name}.onnx").write_bytes(ONE_NODE_GRAPH)

    monkeypatch.setattr(exporter, "export_graphs", traced)
    monkeypatch.setattr(exporter, "check_bundle", lambda *_: Parity(0.0, 0.0, ()))
    loaded = load_checkpoint(checkpoint)
    monkeypatch.setattr(exporter, "load_checkpoint", lambda _: loaded)
    source = hub.resolve(str(checkpoint), offline=True)

    def run(out, name):
        export_bundle(source, ExportSettings(out, name=name, overwrite=True))

    return run


@pytest.fixture(scope="module")
def light(tmp_path_factory):
    """The embedded model with a graph of one node in place of each of its own."""
    folder = tmp_path_factory.mktemp("light") / "model"
    shutil.copytree(open_bundle().folder, folder)
    manifest = open_bundle(folder).manifest
    variants = {}
    for precision, variant in manifest.variants.items():
        for file in variant.files:
            (folder / file.path).write_bytes(ONE_NODE_GRAPH)
        files = variant_files(folder, precision)
        variants[precision] = dataclasses.replace(variant, files=files)
    manifest = dataclasses.replace(manifest, variants=variants)
    (folder / "bundle.json").write_text(manifest.to_json(), encoding="utf-8")
    return str(folder)


@pytest.fixture
def fit(light, clips, monkeypatch):
    """Give a model a head under a name, without opening its graphs, encoding and fitting."""
    monkeypatch.setattr(bundle_head.Recognizer, "load", lambda *_, **_options: None)
    dim = open_bundle().manifest.architecture.embed_dim
    evidence = HeadEvidence(1, None, 2, 1.0, None, 0.5, 0.5, {}, 0.1, 0.1)
    fitted = FittedHead(
        tuple(LABELS), np.zeros((3, dim), np.float32), np.zeros(3, np.float32), 1.0, evidence
    )
    monkeypatch.setattr(bundle_head, "fit_head", lambda *_: fitted)
    encoded = bundle_head._Encoded(np.zeros((len(clips), dim), np.float32), None)
    monkeypatch.setattr(bundle_head, "_encode", lambda *_: encoded)

    def run(out, name):
        monkeypatch.setattr(bundle_head, "head_card", lambda *_: name)
        bundle_head.finetune_bundle(light, clips, out, overwrite=True)

    return run


def said(out):
    """Name under which a bundle was made."""
    bundle = open_bundle(out)
    for precision in bundle.manifest.variants:
        bundle.verify(precision)
    card = out / "README.md"
    return card.read_text() if card.exists() else bundle.manifest.name


@pytest.mark.parametrize("maker", ["export", "fit"])
@pytest.mark.parametrize("fault", ["kill", "EIO", "ENOSPC", "EACCES"])
def test_a_bundle_is_the_old_or_the_new_one(request, tmp_path, maker, fault):
    """All of it, and the next run succeeds."""
    make = request.getfixturevalue(maker)
    start = tmp_path / "start"
    start.mkdir()
    make(start / "bundle", "old")
    calm = tmp_path / "calm"
    shutil.copytree(start, calm)
    operations = count(calm, lambda: make(calm / "bundle", "new"))
    outcomes = set()
    for at in range(len(operations)):
        folder = tmp_path / str(at)
        shutil.copytree(start, folder)
        with Faults(folder, fault, at) as faults, contextlib.suppress(Killed):
            try:
                make(folder / "bundle", "new")
            except OutputError as error:
                assert str(folder) in str(error)
                assert said(folder / "bundle") == "old"
        assert faults.happened, operations
        outcomes.add(said(folder / "bundle"))
        make(folder / "bundle", "new")
        assert said(folder / "bundle") == "new"
        shutil.rmtree(folder)
    assert outcomes == {"old", "new"}


def test_a_training_goes_on_after_any_fault(checkpoint, clips, tmp_path, monkeypatch):
    """With the same result as one that was not disturbed."""
    monkeypatch.setattr(training, "bfloat16_is_faster", lambda: False)
    monkeypatch.setattr(Figure, "savefig", lambda _self, file, **_: file.write(b"a picture"))
    speech = training.load_speech(clips, LABELS)
    monkeypatch.setattr(training, "load_speech", lambda *_: speech)

    def run(out):
        return train(
            TrainingSettings(
                out / "model", str(checkpoint), validation=0.25, steps=2, batch_seconds=2.0
            ),
            clips,
        )

    calm = tmp_path / "calm"
    operations = count(calm, lambda: run(calm))
    expected = load_checkpoint(calm / "model").model.state_dict()
    names = {path.name for path in (calm / "model").iterdir()}
    assert any(operation.startswith("replace") for operation in operations)
    # The many small writes of one file fail alike: the first and the last one are tried.
    chosen = {operations.index(operation) for operation in operations}
    chosen |= {len(operations) - 1 - operations[::-1].index(operation) for operation in operations}
    for at in sorted(chosen):
        for fault in ("kill", "ENOSPC"):
            folder = tmp_path / f"{at}-{fault}"
            with Faults(folder, fault, at) as faults, contextlib.suppress(Killed, OutputError):
                run(folder)
            assert faults.happened
            model = folder / "model"
            if not (model / "model.pt").exists() or (model / "training.pt").exists():
                run(folder)  # it was not complete
            found = load_checkpoint(model).model.state_dict()
            assert all(torch.equal(found[name], value) for name, value in expected.items())
            assert {path.name for path in model.iterdir()} == names
            shutil.rmtree(folder)
