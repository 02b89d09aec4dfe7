"""Files of a bundle compared with their checksums."""

import os

import pytest

from emotion2vec_edge.engine import Recognizer, open_bundle
from emotion2vec_edge.engine.bundle import integrity
from emotion2vec_edge.engine.errors import BundleFormatError, BundleTamperedError


def test_a_tampered_file_is_refused(copy):
    graph = copy / "fp32" / "encoder.onnx"
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)
    with pytest.raises(BundleTamperedError, match=r"sha256 is .* copy or export"):
        Recognizer.load(copy, precision="fp32")


def test_a_file_of_another_size_or_none_is_refused(copy):
    graph = copy / "fp32" / "encoder.onnx"
    with graph.open("ab") as file:
        file.write(b"x")
    with pytest.raises(BundleTamperedError, match="bytes where"):
        Recognizer.load(copy, precision="fp32")
    graph.unlink()
    with pytest.raises(BundleTamperedError, match="No such file"):
        Recognizer.load(copy, precision="fp32")


def test_a_file_is_hashed_once(copy, monkeypatch):
    hashed = []
    original = integrity.sha256_of
    monkeypatch.setattr(integrity, "sha256_of", lambda path: hashed.append(path) or original(path))
    open_bundle(copy).verify("fp32")
    assert len(hashed) == 2
    open_bundle(copy).verify("fp32")
    assert len(hashed) == 2
    os.utime(copy / "fp32" / "encoder.onnx", (1, 1))
    open_bundle(copy).verify("fp32")
    assert len(hashed) == 3


def test_an_unusable_cache_costs_time_and_nothing_else(copy, monkeypatch, tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    monkeypatch.setenv("E2V_CACHE", str(blocker / "cache"))
    open_bundle(copy).verify("fp32")
    monkeypatch.setenv("E2V_CACHE", str(tmp_path))
    (tmp_path / "verified.json").write_text("{damaged")
    open_bundle(copy).verify("fp32")


def test_a_graph_that_is_no_model_is_refused(copy, edit):
    graph = copy / "fp32" / "encoder.onnx"
    graph.write_bytes(b"not a model")
    sha256, size = integrity.sha256_of(graph), graph.stat().st_size
    edit(
        copy,
        lambda d: [
            file.update(bytes=size, sha256=sha256)
            for file in d["variants"]["fp32"]["files"]
            if file["path"].endswith("encoder.onnx")
        ],
    )
    with pytest.raises(BundleFormatError, match="cannot load it"):
        Recognizer.load(copy, precision="fp32")
