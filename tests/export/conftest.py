"""Fixtures of the export and of training: a checkpoint, its bundle, a corpus and a shape."""

import json
import shutil

import pytest
from checkpoints import FEW_CONVOLUTIONS, TINY, document, write_checkpoint
from voices import write_corpus

from emotion2vec_edge.export import exporter, hub
from emotion2vec_edge.export.exporter import ExportSettings, export_bundle


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    write_checkpoint(folder, TINY)
    return hub.resolve(str(folder), offline=True)


@pytest.fixture(scope="session")
def exported(checkpoint, made_once):
    def fill(folder):
        export_bundle(checkpoint, ExportSettings(folder / "tiny-bundle", licence="test"))

    return made_once("tiny-export", fill) / "tiny-bundle"


@pytest.fixture
def traced(exported, monkeypatch):
    """Takes the graphs of the bundle that was exported, of the same weights, instead of tracing."""

    def copied(_model, folder, *_):
        for name in ("frontend.onnx", "encoder.onnx"):
            shutil.copyfile(exported / "fp32" / name, folder / name)

    monkeypatch.setattr(exporter, "export_graphs", copied)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A config.yaml that trains in no time."""
    path = tmp_path_factory.mktemp("shape") / "config.yaml"
    path.write_text(json.dumps(document(feature_encoder_spec=FEW_CONVOLUTIONS)))
    return path
