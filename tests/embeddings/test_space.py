"""Spaces: what they do to embeddings, and how a bundle keeps one."""

import dataclasses

import numpy as np
import pytest

from emotion2vec_edge.engine import Recognizer, open_bundle
from emotion2vec_edge.engine.bundle.manifest import SameEmotion
from emotion2vec_edge.engine.embeddings.fitting import FitSpeech, fit_space
from emotion2vec_edge.engine.embeddings.space import Space, add_space, unit
from emotion2vec_edge.engine.errors import BundleTamperedError, NoSpaceError, OptionError


@pytest.fixture
def fitted(rng):
    dim = open_bundle().manifest.architecture.embed_dim
    vectors = rng.standard_normal((60, dim)).astype(np.float32)
    labels = [("sad", "happy")[n % 2] for n in range(60)]
    return fit_space(FitSpeech(vectors, labels, [str(n % 5) for n in range(60)], ["c"] * 60), "c")


def test_the_embedded_model_has_every_space(recognizer, example):
    encoding = recognizer.encode(example)
    vector = encoding.embedding()[None]
    assert Space.of(recognizer.bundle).name == "fitted"
    np.testing.assert_array_equal(Space.of(recognizer.bundle, "raw").transform(vector), vector)
    (fitted,) = Space.of(recognizer.bundle, "fitted").transform(vector)
    assert fitted.dtype == np.float32
    assert np.linalg.norm(fitted) == pytest.approx(1, abs=1e-5)
    (found,) = Space.of(recognizer.bundle, "emotion").transform(vector)
    expected = encoding.logits.mean(axis=0)
    np.testing.assert_allclose(found, expected - expected.mean(), atol=0.05)


def test_the_product_of_two_vectors_is_overlap_and_cosine():
    arrays = {
        "mean": np.zeros(2, np.float32),
        "weight": np.float32([[50, 0], [0, 50]]),
        "bias": np.zeros(2, np.float32),
    }
    space = Space("fitted", 2, arrays, share=0.7)
    a, b = np.float32([1, 0]), np.float32([0, 1])
    assert space.cosine(a, a) == pytest.approx(1, abs=1e-5)
    assert space.cosine(a, b) == pytest.approx(0, abs=1e-5)  # no overlap, and at right angles
    assert space.cosine(a, -b) == pytest.approx(0.7, abs=1e-5)  # the same label, at right angles


def test_a_speakers_mean_is_taken_away_the_more_the_more_clips():
    arrays = {"mean": np.zeros(2, np.float32), "whitening": np.eye(2, dtype=np.float32)}
    space = Space("fitted", 2, arrays)
    many = np.tile(np.float32([[10, 1], [10, -1]]), (500, 1))
    found = space.transform(many, ["a"] * 1000)
    assert abs(found[0] @ found[1]) > 0.99
    assert found[0] @ found[1] < 0
    alone = space.transform(many[:2], ["a", "b"])
    assert alone[0] @ alone[1] > 0.9
    np.testing.assert_allclose(space.transform(many, [None] * 1000), space.transform(many))


def test_the_probability_moves_with_the_prior():
    space = Space("raw", 2, same=SameEmotion(4.0, -2.0))
    assert space.same_emotion(0.5) == pytest.approx(0.5)
    assert space.same_emotion(0.5, prior=0.1) == pytest.approx(0.1)
    assert space.same_emotion(0.9) > 0.8
    assert Space("raw", 2).same_emotion(0.5) is None
    for prior in (0, 1, -1, float("nan")):
        with pytest.raises(OptionError, match="prior"):
            space.same_emotion(0.5, prior)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.zeros(3, np.float32), r"shape \(3,\); give \[count, 3\]"),
        (np.zeros((2, 4), np.float32), r"shape \(2, 4\)"),
        (np.float32([[1, 2, 3], [1, np.nan, 3]]), "embedding 1 holds NaN"),
        (np.float32([[np.inf, 2, 3]]), "embedding 0 holds NaN or infinite"),
    ],
)
def test_vectors_that_are_no_embeddings_are_refused(vectors, message):
    with pytest.raises(OptionError, match=message):
        Space("raw", 3).transform(vectors)


def test_a_bundle_keeps_a_space_and_drops_the_one_before(bundle_copy, fitted):
    before = open_bundle(bundle_copy).manifest.space
    written = add_space(open_bundle(bundle_copy), fitted.record, fitted.arrays)
    after = open_bundle(bundle_copy)
    assert after.manifest.space == written != before
    assert [path.name for path in bundle_copy.glob("space-*")] == [written.file.path]
    vectors = np.ones((2, fitted.space().dim), np.float32)
    np.testing.assert_array_equal(
        Space.of(after).transform(vectors), fitted.space().transform(vectors)
    )
    assert Recognizer.load(bundle_copy).recognize(np.ones(16_000), 16_000).emotion
    again = add_space(after, fitted.record, fitted.arrays)
    assert again == written


def test_a_bundle_in_the_cache_of_a_hub_is_not_changed(bundle_copy, fitted):
    manifest = bundle_copy / "bundle.json"
    blob = manifest.rename(bundle_copy.parent / "blob")  # as a hub's client keeps it
    manifest.symlink_to(blob)
    with pytest.raises(OptionError, match=r"cache of a hub.*cp -rL"):
        add_space(open_bundle(bundle_copy), fitted.record, fitted.arrays)
    assert manifest.is_symlink()


def test_a_space_that_was_changed_is_refused(bundle_copy):
    (path,) = bundle_copy.glob("space-*.npz")
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleTamperedError, match="space-"):
        Space.of(open_bundle(bundle_copy))


def test_a_model_without_a_space_names_the_way_to_one(bundle_copy):
    bundle = open_bundle(bundle_copy)
    plain = dataclasses.replace(bundle, manifest=dataclasses.replace(bundle.manifest, space=None))
    assert Space.of(plain).name == "raw"
    for name in ("fitted", "emotion"):
        with pytest.raises(NoSpaceError, match="e2v embed --fit"):
            Space.of(plain, name)
    with pytest.raises(OptionError, match="give fitted, raw, emotion, auto"):
        Space.of(plain, "cosine")


def test_the_unit_of_nothing_is_nothing():
    assert not unit(np.zeros((1, 3), np.float32)).any()
