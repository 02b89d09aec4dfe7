"""Metrics against known cases and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion2vec_edge.engine import metrics


def test_unweighted_accuracy_is_the_mean_recall():
    truth = np.array([0, 0, 0, 0, 1, 1])
    found = np.array([0, 0, 0, 2, 1, 0])
    assert metrics.unweighted_accuracy(truth, found) == pytest.approx((0.75 + 0.5) / 2)
    assert metrics.recalls(truth, found) == {0: 0.75, 1: 0.5}
    low, high = metrics.bootstrap_interval(truth, found)
    assert low < 0.625 < high


def test_macro_f1_and_confusion_agree_with_scikit_learn(rng):
    sklearn = pytest.importorskip("sklearn.metrics")
    truth, found = rng.integers(0, 4, 200), rng.integers(0, 6, 200)
    expected = sklearn.f1_score(truth, found, average="macro", labels=range(4))
    assert metrics.macro_f1(truth, found) == pytest.approx(expected)
    np.testing.assert_array_equal(
        metrics.confusion(truth, found, 6), sklearn.confusion_matrix(truth, found, labels=range(6))
    )


def test_calibration_error_of_a_known_case():
    right = np.array([True, False, True, False])
    assert metrics.calibration_error(right, np.full(4, 0.5)) == pytest.approx(0)
    assert metrics.calibration_error(right, np.full(4, 0.9)) == pytest.approx(0.4)


def test_mcnemar_of_known_cases():
    same = np.array([True, False] * 10)
    assert metrics.mcnemar(same, same) == 1.0
    a = np.array([True] * 10 + [False])
    assert metrics.mcnemar(a, ~a) == pytest.approx(2 * 12 / 2**11)  # 10 against 1 of 11 coins
    scipy = pytest.importorskip("scipy.stats")
    assert metrics.mcnemar(a, ~a) == pytest.approx(scipy.binomtest(1, 11).pvalue)


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=9))
def test_softmax_is_a_distribution_that_keeps_the_order(logits):
    scores = metrics.softmax(np.array(logits))
    assert scores.dtype == np.float32
    assert scores.sum() == pytest.approx(1, abs=1e-5)
    assert scores[np.argmax(logits)] == scores.max()


def test_the_fitted_temperature_is_the_likeliest(rng):
    truth = rng.integers(0, 4, 4000)
    logits = rng.standard_normal((4000, 4))
    sampled = np.array([rng.choice(4, p=metrics.softmax(row)) for row in logits])
    assert metrics.fit_temperature(logits * 3, sampled) == pytest.approx(3, rel=0.15)
    assert metrics.fit_temperature(logits, sampled) == pytest.approx(1, rel=0.15)
    assert metrics.fit_temperature(logits, truth) > 3  # nothing to be sure of
    perfect = np.eye(4)[truth]
    assert metrics.fit_temperature(perfect, truth) == pytest.approx(0.05, rel=0.01)  # its least


def test_calibration_lowers_the_error_and_changes_no_answer(rng):
    truth = rng.integers(0, 4, 4000)
    logits = 5 * (np.eye(4)[truth] + rng.standard_normal((4000, 4)))
    fit = metrics.calibrate(logits, truth)
    assert fit.temperature == metrics.fit_temperature(logits, truth)
    scores = metrics.softmax(logits)
    right = scores.argmax(axis=1) == truth
    assert fit.ece_before == pytest.approx(metrics.calibration_error(right, scores.max(axis=1)))
    assert fit.ece < fit.ece_before / 2


def test_all_scores_of_one_model():
    truth, found = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    scores = metrics.score(truth, found, np.full(4, 0.75))
    assert (scores.clips, scores.wa) == (4, 0.75)
    assert scores.ua == pytest.approx((2 / 3 + 1) / 2)
    assert scores.ece == pytest.approx(0.0)
    assert scores.ua_low <= scores.ua <= scores.ua_high
