"""The origin of a checkpoint: a folder or a hub."""

import socket

import pytest

from emotion2vec_edge.engine.errors import CheckpointError, HubError
from emotion2vec_edge.export import hub


def test_a_local_folder_never_touches_the_network(tmp_path, monkeypatch):
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

    def fetch(model, revision, offline, _files):
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
