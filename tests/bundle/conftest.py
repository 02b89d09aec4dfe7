"""A copy of the embedded bundle that a test may damage."""

import json
import shutil

import pytest
from hub_server import TOKEN, StandInHub

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


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A stand-in for Hugging Face's hub, which the real client talks to, with an empty cache."""
    pytest.importorskip("huggingface_hub", reason="SKIPPED LOUDLY: no huggingface_hub")
    from huggingface_hub import constants

    server = StandInHub()
    monkeypatch.setattr(constants, "ENDPOINT", server.address)
    template = server.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub_cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # Git LFS, which the stand-in has
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "no_token"))
    yield server
    server.close()


@pytest.fixture
def on_the_hub(hub):
    """The embedded bundle in a repository of the stand-in: its files by path."""
    folder = locate.EMBEDDED / locate.DEFAULT_NAME
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    hub.add("someone/small", files)
    return files
