"""The bundle on disk: found, read, verified, refused."""

import json
import os
import shutil

import pytest

from emotion2vec_edge.engine import Recognizer, open_bundle
from emotion2vec_edge.engine.bundle import integrity, locate
from emotion2vec_edge.engine.errors import (
    BundleFormatError,
    BundleNotFoundError,
    BundleTamperedError,
    VariantNotFoundError,
)


@pytest.fixture
def copy(tmp_path):
    """A copy of the embedded bundle that a test may damage."""
    folder = tmp_path / "model"
    shutil.copytree(locate.EMBEDDED / locate.DEFAULT_NAME, folder)
    return folder


def edit(folder, change):
    path = folder / "bundle.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")


def test_the_default_is_embedded():
    assert open_bundle().folder == locate.EMBEDDED / locate.DEFAULT_NAME


def test_a_folder_of_the_default_name_is_not_mistaken_for_it(copy, monkeypatch):
    here = copy.rename(copy.with_name(locate.DEFAULT_NAME)).parent
    monkeypatch.chdir(here)
    assert open_bundle().folder == locate.EMBEDDED / locate.DEFAULT_NAME
    assert open_bundle(locate.DEFAULT_NAME).folder.absolute() == here / locate.DEFAULT_NAME


def test_a_bundle_is_found_by_path_name_manifest_and_variable(copy, monkeypatch):
    assert open_bundle(copy).folder == copy
    assert open_bundle(str(copy)).folder == copy
    assert open_bundle(copy / "bundle.json").folder == copy
    assert open_bundle("emotion2vec_small").manifest.name == "emotion2vec_small"
    monkeypatch.setenv("E2V_MODEL", str(copy))
    assert open_bundle().folder == copy


def test_a_missing_bundle_says_what_there_is(tmp_path, monkeypatch):
    with pytest.raises(BundleNotFoundError, match="no such path.*emotion2vec_small"):
        open_bundle("nothing")
    with pytest.raises(BundleNotFoundError, match="has no bundle.json"):
        open_bundle(tmp_path)
    monkeypatch.setenv("E2V_MODEL", "gone")
    with pytest.raises(BundleNotFoundError, match="from E2V_MODEL"):
        open_bundle()


def test_the_manifest_survives_writing_and_reading(copy):
    manifest = open_bundle(copy).manifest
    (copy / "bundle.json").write_text(manifest.to_json(), encoding="utf-8")
    assert open_bundle(copy).manifest == manifest


def test_the_embedded_model_says_what_it_is():
    manifest = open_bundle().manifest
    assert [label.id for label in manifest.labels] == [
        "angry", "disgusted", "fearful", "happy", "neutral", "other", "sad", "surprised", "unknown",
    ]  # fmt: skip
    assert manifest.labels[0].display == "生气"
    assert "NC" in manifest.source["licence"]
    largest = manifest.variants["fp32"].evidence["parity"]["max_abs_difference"]
    assert 0 < largest["frames"] <= 1e-4
    assert 0 < largest["probabilities"] <= 1e-5


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(schema=3),
        lambda d: d.pop("schema"),
        lambda d: d.pop("labels"),
        lambda d: d.update(surprise=1),
        lambda d: d["audio"].update(hop=0),
        lambda d: d.update(variants={}),
        lambda d: d["variants"]["fp32"]["files"][0].update(path="../../etc/passwd"),
        lambda d: d["variants"]["fp32"]["files"][0].update(path="/etc/passwd"),
        lambda d: d["variants"]["fp32"]["files"][0].update(sha256="none"),
        lambda d: d["variants"]["fp32"].pop("files"),
    ],
)
def test_damaged_manifests_are_refused(copy, change):
    edit(copy, change)
    with pytest.raises(BundleFormatError, match=r"bundle\.json"):
        open_bundle(copy)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": 1}', "[" * 100_000])
def test_files_that_are_no_manifest(copy, text):
    (copy / "bundle.json").write_text(text)
    with pytest.raises(BundleFormatError):
        open_bundle(copy)


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


def test_a_graph_that_is_no_model_is_refused(copy):
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


def test_a_missing_precision_names_those_there_are(copy):
    with pytest.raises(VariantNotFoundError, match="no fp16 variant; it has fp32"):
        Recognizer.load(copy, precision="fp16")
