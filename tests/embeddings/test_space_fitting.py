"""Fitting of a space: better neighbours on new speakers, and a probability that means something."""

import dataclasses

import numpy as np
import pytest

from emotion2vec_edge.engine.embeddings.fitting import FitSpeech, calibrate_pairs, fit_space
from emotion2vec_edge.engine.embeddings.retrieval import Pairs, measure_retrieval
from emotion2vec_edge.engine.embeddings.space import Space
from emotion2vec_edge.engine.errors import OptionError


def measured(space, speech):
    vectors = space.transform(speech.vectors)
    return measure_retrieval(vectors, speech.truth(speech.names), speech.speakers)


@pytest.fixture(scope="module")
def fitted(speech):
    return fit_space(speech, "made up")


def test_neighbours_of_new_speakers_share_more_emotions(fitted, unheard):
    raw, ours = (
        measured(Space("raw", unheard.vectors.shape[1]), unheard),
        measured(fitted.space(), unheard),
    )
    assert ours.knn_ua > raw.knn_ua + 0.1
    assert ours.mean_average_precision > raw.mean_average_precision + 0.1
    assert ours.equal_error_rate < raw.equal_error_rate - 0.1


def test_a_fit_is_the_same_every_time(fitted, speech):
    again = fit_space(speech, "made up")
    assert again.record == fitted.record
    for name, array in fitted.arrays.items():
        np.testing.assert_array_equal(array, again.arrays[name])


def test_the_map_to_logits_is_that_of_the_head(fitted, speech):
    own = fitted.arrays
    found = speech.vectors @ own["emotion_weight"].T + own["emotion_bias"]
    np.testing.assert_allclose(found, speech.logits, atol=0.02)


def test_the_discriminants_are_those_of_scikit_learn(speech):
    lda = pytest.importorskip("sklearn.discriminant_analysis").LinearDiscriminantAnalysis
    theirs = lda(solver="lsqr", priors=[1 / 3] * 3).fit(speech.vectors, speech.labels)
    ours = fit_space(speech, "made up", shrinkage=0.0).arrays
    found = (speech.vectors - ours["mean"]) @ ours["weight"].T + ours["bias"]
    expected = theirs.decision_function(speech.vectors)
    found, expected = (x - x.mean(axis=1, keepdims=True) for x in (found, expected))
    np.testing.assert_allclose(found, expected, atol=0.05 * np.abs(expected).max())


def test_speech_without_labels_is_whitened(speech):
    plain = dataclasses.replace(speech, labels=[None] * len(speech.labels), logits=None)
    fitted = fit_space(plain, "made up", shrinkage=0.0)
    assert (fitted.record.method, fitted.record.labels, fitted.record.emotions) == (
        "whitening", (), 0,
    )  # fmt: skip
    own = fitted.arrays
    white = (speech.vectors - own["mean"]) @ own["whitening"]
    np.testing.assert_allclose(np.cov(white.T, bias=True), np.eye(white.shape[1]), atol=0.02)


def test_a_few_speakers_of_one_emotion_each_take_the_default_settings(speech):
    rows = range(24)
    few = FitSpeech(
        speech.vectors[:24], [("sad", "happy")[n % 2] for n in rows], [f"s{n % 4}" for n in rows],
        ["own"] * 24,
    )  # fmt: skip
    record = fit_space(few, "made up").record
    assert (record.share, record.evidence["shrinkage"], dict(record.same)) == (0.5, 0.3, {})


def some(speech, **changes):
    return dataclasses.replace(speech, **changes)


def test_speech_that_cannot_be_fitted_is_refused(speech):
    count = len(speech.labels)
    with pytest.raises(OptionError, match="all clips are sad"):
        fit_space(some(speech, labels=["sad"] * count), "x")
    with pytest.raises(OptionError, match="1 speakers; settings are chosen on held-out ones"):
        fit_space(some(speech, speakers=["a"] * count), "x")
    few = FitSpeech(speech.vectors[:5], ["sad"] * 5, ["a"] * 5, ["c"] * 5)
    with pytest.raises(OptionError, match="5 clips; a space needs at least"):
        fit_space(few, "x")
    damaged = speech.vectors.copy()
    damaged[7, 3] = np.nan
    with pytest.raises(OptionError, match="embedding 7 holds NaN"):
        fit_space(some(speech, vectors=damaged), "x")


def test_a_calibration_finds_the_odds_that_made_the_pairs(rng):
    cosines = rng.uniform(-1, 1, 200_000).astype(np.float32)
    same = rng.random(200_000) < 1 / (1 + np.exp(-(3 * cosines - 1)))
    found = calibrate_pairs(
        [Pairs(cosines[:100_000], same[:100_000]), Pairs(cosines[100_000:], same[100_000:])]
    )
    assert (found.slope, found.offset) == (pytest.approx(3, abs=0.1), pytest.approx(-1, abs=0.05))
    assert found.ece < 0.01


def test_cosines_that_say_nothing_give_even_odds(rng):
    pairs = Pairs(rng.uniform(0, 1, 1000).astype(np.float32), np.repeat([True, False], 500))
    found = calibrate_pairs([pairs])
    assert 1 / (1 + np.exp(-(0.5 * found.slope + found.offset))) == pytest.approx(0.5, abs=0.1)
