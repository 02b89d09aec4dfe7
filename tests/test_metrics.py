"""Metrics against known cases and scikit-learn."""

import numpy as np
import pytest

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
