"""The content of a manifest."""

import pytest

from emotion2vec_edge.engine import Label, open_bundle
from emotion2vec_edge.engine.audio import types
from emotion2vec_edge.engine.bundle.manifest import SAMPLE_RATE, Architecture, Calibration


def test_the_embedded_model_says_what_it_is():
    manifest = open_bundle().manifest
    assert [label.id for label in manifest.labels] == [
        "angry", "disgusted", "fearful", "happy", "neutral", "other", "sad", "surprised", "unknown",
    ]  # fmt: skip
    assert manifest.labels[0].display == "生气"
    assert "NC" in manifest.source.licence
    largest = manifest.variants["fp32"].evidence["parity"]["max_abs_difference"]
    assert 0 < largest["frames"] <= 1e-4
    assert 0 < largest["probabilities"] <= 1e-5


def test_the_rate_of_bundles_is_that_of_all_audio():
    assert SAMPLE_RATE == types.SAMPLE_RATE


@pytest.mark.parametrize(
    ("id_", "display", "line"),
    [("angry", "生气", "生气/angry"), ("calm", "calm", "calm"), ("unknown", "unknown", "<unk>")],
)
def test_labels_have_the_lines_of_funasr(id_, display, line):
    assert Label(id_, display).token == line


@pytest.mark.parametrize(
    ("values", "seconds"), [(None, 1), (38_400, 10), (500_000, 4), (1_638_400, 1), (1 << 40, 1)]
)
def test_narrow_front_ends_take_longer_blocks(values, seconds):
    assert Architecture(192, 4, 2, 4, 2_345_933, values).block_seconds == seconds


def test_a_manifest_with_nan_is_not_written():
    manifest = open_bundle().manifest
    object.__setattr__(manifest, "calibration", Calibration(float("nan")))
    with pytest.raises(ValueError, match="not JSON compliant"):
        manifest.to_json()
