"""Bundles whose graphs are not those that their manifest describes."""

import json
import shutil

import pytest

from emotion2vec_edge.engine import Recognizer, open_bundle
from emotion2vec_edge.engine.bundle import locate
from emotion2vec_edge.engine.bundle.integrity import sha256_of
from emotion2vec_edge.engine.errors import BundleFormatError
from emotion2vec_edge.engine.runtime import probe

DIM = open_bundle().manifest.architecture.embed_dim
"""Width of the embedded model's frames."""


@pytest.fixture
def changed(tmp_path):
    """Write a copy of the embedded bundle whose manifest a function has changed."""

    def copy(change):
        folder = tmp_path / "model"
        shutil.copytree(locate.EMBEDDED / locate.DEFAULT_NAME, folder)
        document = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
        change(document, folder)
        (folder / "bundle.json").write_text(json.dumps(document), encoding="utf-8")
        return folder

    return copy


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d, _: d["audio"].update(hop=640), rf"gave frames and logits of \(7, {DIM}\)"),
        (lambda d, _: d["audio"].update(hop=160), rf"of \(2, {DIM}\)"),
        (lambda d, _: d["audio"].update(receptive_field=401), "1360 samples gave"),
        (lambda d, _: d["audio"].update(receptive_field=399), "1359 samples gave"),
        (lambda d, _: d["architecture"].update(embed_dim=DIM + 1), rf"describes \(4, {DIM + 1}\)"),
        (lambda d, _: d["labels"].pop(), rf"describes \(4, {DIM}\) and \(4, 8\)"),
        (lambda d, _: d.update(labels=[]), rf"describes \(4, {DIM}\) and None"),
    ],
    ids=range(7),
)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_other_sizes_than_the_manifest_says_are_refused(changed, change, message, precision):
    folder = changed(change)
    for _ in range(2):
        with pytest.raises(BundleFormatError, match=message):
            Recognizer.load(folder, precision=precision)


def test_a_graph_in_the_place_of_the_other_is_refused(changed):
    def swap(document, folder):
        shutil.copy(folder / "fp32" / "encoder.onnx", folder / "fp32" / "frontend.onnx")
        for file in document["variants"]["fp32"]["files"]:
            path = folder / file["path"]
            file.update(bytes=path.stat().st_size, sha256=sha256_of(path))

    with pytest.raises(BundleFormatError, match=r"frontend\.onnx: not the frontend of a model"):
        Recognizer.load(changed(swap), precision="fp32")


def test_a_model_is_probed_once(changed, monkeypatch):
    probed = []
    original = probe.probe
    monkeypatch.setattr(probe, "probe", lambda *args: probed.append(args[1]) or original(*args))
    folder = changed(lambda document, _: document.update(name="once"))
    Recognizer.load(folder, precision="fp32")
    count = len(probed)  # 0 if another test has opened the same files
    Recognizer.load(folder, precision="fp32")
    assert len(probed) == count <= 1
    document = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    document["audio"]["receptive_field"] = 401
    (folder / "bundle.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(BundleFormatError):
        Recognizer.load(folder, precision="fp32")
    assert probed[-1].folder == folder


def test_without_a_cache_a_model_is_probed_each_time(changed, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("E2V_CACHE", str(tmp_path / "file" / "cache"))
    probed = []
    monkeypatch.setattr(probe, "probe", lambda *args: probed.append(args))
    folder = changed(lambda *_: None)
    Recognizer.load(folder, precision="fp32")
    Recognizer.load(folder, precision="fp32")
    assert len(probed) == 2
