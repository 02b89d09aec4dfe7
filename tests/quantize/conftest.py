"""Fixtures of the quantization: a bundle in fp32 alone, its graphs, and speech."""

import dataclasses
import shutil

import onnx
import pytest

from emotion2vec_edge.engine import Recognizer, open_bundle
from emotion2vec_edge.quantize.calibration import Calibration, load_calibration
from emotion2vec_edge.quantize.rewrites.smoothing import feeds_on_speech
from emotion2vec_edge.quantize.static import ranges_on_speech


@pytest.fixture
def fp32_only(small_bundle, tmp_path):
    """A trained model with emotion2vec's own front-end, in its fp32 variant alone."""
    folder = tmp_path / "model"
    shutil.copytree(small_bundle, folder)
    shutil.rmtree(folder / "int8")
    manifest = open_bundle(folder).manifest
    manifest = dataclasses.replace(manifest, variants={"fp32": manifest.variants["fp32"]})
    (folder / "bundle.json").write_text(manifest.to_json(), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def speech():
    """A quarter of the built-in calibration speech: enough for tests."""
    whole = load_calibration(None)
    return Calibration(whole.clips[::4], whole.source)


@pytest.fixture(scope="session")
def ranges(graphs, small_bundle, speech):
    """Ranges of the values of the convolutions."""
    model = Recognizer.load(small_bundle, precision="fp32", provider="cpu").encoder
    return ranges_on_speech(graphs, feeds_on_speech(model, speech.clips[:3]), ["Conv"])


@pytest.fixture(scope="session")
def graphs(small_bundle):
    opened = open_bundle(small_bundle)
    return {name: onnx.load(opened.graph("fp32", name)) for name in ("frontend", "encoder")}
