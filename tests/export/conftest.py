"""Fixtures of the export: a small checkpoint, and its bundle."""

import pytest
from checkpoints import write_checkpoint

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
