"""Measures of neighbours, against their definitions worked out clip by clip."""

import numpy as np
import pytest

from emotion2vec_edge.engine.embeddings.retrieval import measure_retrieval, sampled_pairs
from emotion2vec_edge.engine.embeddings.space import unit


def test_the_measures_are_those_of_scikit_learn(rng):
    metrics = pytest.importorskip("sklearn.metrics")
    truth = rng.integers(3, size=300)
    vectors = rng.standard_normal((300, 8)).astype(np.float32)
    vectors[:, :3] += 1.5 * np.eye(3)[truth]
    speakers = [str(n % 7) for n in range(300)]
    found = measure_retrieval(vectors, truth, speakers)
    cosines = unit(vectors) @ unit(vectors).T
    apart = np.array(speakers)[:, None] != np.array(speakers)[None]
    same = truth[:, None] == truth[None]
    precisions = [
        metrics.average_precision_score(same[i][apart[i]], cosines[i][apart[i]]) for i in range(300)
    ]
    assert found.mean_average_precision == pytest.approx(np.mean(precisions), abs=1e-4)
    wrong, right, _ = metrics.roc_curve(same[apart], cosines[apart])
    nearest = np.abs(1 - right - wrong).argmin()
    assert found.equal_error_rate == pytest.approx(wrong[nearest], abs=2e-3)
    assert found.clips == 300


def test_a_clip_of_the_same_speaker_is_no_neighbour():
    vectors = np.float32([[1, 0], [1, 0.01], [0, 1], [0.01, 1]])
    truth = np.array([0, 1, 1, 0])
    near = measure_retrieval(vectors, truth, ["a", "b", "a", "b"], neighbours=1)
    assert near.knn_ua == 0.0  # the nearest of another speaker has the other emotion
    far = measure_retrieval(vectors, np.array([0, 0, 1, 1]), ["a", "b", "a", "b"], neighbours=1)
    assert (far.knn_ua, far.mean_average_precision, far.equal_error_rate) == (1.0, 1.0, 0.0)


def test_clips_without_neighbours_have_no_measures():
    assert measure_retrieval(np.eye(2, dtype=np.float32), np.array([0, 1]), ["a", "a"]) is None
    assert measure_retrieval(np.eye(2, dtype=np.float32), np.array([0, 0]), ["a", "b"]) is None


def test_pairs_are_of_different_speakers_and_half_of_them_of_one_emotion(rng):
    truth = rng.integers(4, size=600)
    vectors = np.eye(4, dtype=np.float32)[truth]
    speakers = [str(n % 5) for n in range(600)]
    pairs = sampled_pairs(vectors, truth, speakers, 1000, rng)
    assert len(pairs.same) == 2000
    assert pairs.same.mean() == 0.5
    np.testing.assert_array_equal(pairs.cosines > 0.5, pairs.same)
