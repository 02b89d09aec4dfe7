"""Fixtures of the export and of training: a checkpoint, its bundle, a corpus and a shape."""

import json

import pytest
from checkpoints import DOCUMENT, write_checkpoint
from voices import write_corpus

from emotion2vec_edge.export import hub
from emotion2vec_edge.export.exporter import ExportSettings, export_bundle


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    write_checkpoint(folder)
    return hub.resolve(str(folder), offline=True)


@pytest.fixture(scope="session")
def exported(checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "tiny-bundle"
    export_bundle(checkpoint, ExportSettings(folder, licence="test"))
    return folder


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A config.yaml that trains in no time."""
    document = json.loads(json.dumps(DOCUMENT))
    audio = document["model_conf"]["modalities"]["audio"]
    audio["feature_encoder_spec"] = "[(32, 240, 160)] + [(32, 2, 2)]"
    path = tmp_path_factory.mktemp("shape") / "config.yaml"
    path.write_text(json.dumps(document))
    return path
