"""A copy of the embedded bundle that a test may damage."""

import json
import shutil

import pytest

from emotion2vec_edge.engine.bundle import locate


@pytest.fixture
def copy(tmp_path):
    """Folder of the copy."""
    folder = tmp_path / "model"
    shutil.copytree(locate.EMBEDDED / locate.DEFAULT_NAME, folder)
    return folder


@pytest.fixture
def edit():
    """Change the copy's bundle.json: ``edit(folder, change)``, with a function of the document."""

    def edited(folder, change):
        path = folder / "bundle.json"
        document = json.loads(path.read_text(encoding="utf-8"))
        change(document)
        path.write_text(json.dumps(document), encoding="utf-8")

    return edited
