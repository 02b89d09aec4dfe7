"""Clusters: how many, what each holds, and how well they fit the labels."""

import numpy as np
import pytest

from emotion2vec_edge.engine.embeddings.clips import StoredClip
from emotion2vec_edge.engine.embeddings.clusters import OUTLIER, cluster, mean_scores
from emotion2vec_edge.engine.errors import OptionError

pytest.importorskip("sklearn", reason="SKIPPED LOUDLY: scikit-learn is not installed")

EMOTIONS = ("angry", "happy", "sad", "neutral")


@pytest.fixture(scope="module")
def groups():
    """Four groups of directions, each heard as one emotion; the last clip lies apart."""
    rng = np.random.default_rng(0)
    truth = np.arange(120) % 4
    vectors = np.eye(4, 8, dtype=np.float32)[truth] + 0.08 * rng.standard_normal((120, 8))
    clips = [
        StoredClip(
            f"{n}.wav", label=EMOTIONS[k],
            scores={e: 0.7 if e == EMOTIONS[k] else 0.1 for e in EMOTIONS},
        )
        for n, k in enumerate(truth)
    ]  # fmt: skip
    return vectors.astype(np.float32), clips, truth


@pytest.mark.parametrize("method", ["kmeans", "gmm", "hdbscan"])
def test_the_groups_are_found_and_named_by_what_they_were_heard_as(groups, method):
    vectors, clips, _ = groups
    found = cluster(vectors, clips, method)
    assert len(found.clusters) == 4
    assert {cluster.name.split()[0] for cluster in found.clusters} == set(EMOTIONS)
    assert (found.adjusted_rand, found.purity) == (pytest.approx(1), pytest.approx(1))
    assert sum(cluster.size for cluster in found.clusters) == (found.assigned != OUTLIER).sum()
    if method != "hdbscan":
        assert max(found.trials, key=lambda trial: trial.silhouette).count == 4
        assert next(t for t in found.trials if t.count == 4).stability == pytest.approx(1)


def test_the_nearest_and_the_farthest_of_a_cluster(groups):
    vectors, clips, truth = groups
    moved = vectors.copy()
    moved[8] = np.eye(8)[0] + 0.6 * np.eye(8)[7]  # still nearest to the first group
    found = cluster(moved, clips, count=4)
    own = next(cluster for cluster in found.clusters if cluster.name.startswith("angry"))
    assert own.outliers[0] == "8.wav"
    assert own.size == (truth == 0).sum()
    assert "8.wav" not in own.examples


def test_what_lies_apart_is_in_no_cluster(groups):
    vectors, clips, _ = groups
    apart = np.concatenate([vectors, -np.ones((1, 8), np.float32)])
    found = cluster(apart, [*clips, StoredClip("apart.wav")], "hdbscan")
    assert found.assigned[-1] == OUTLIER
    assert found.to_dict()["outliers"] >= 1


def test_clips_without_labels_have_no_purity(groups):
    vectors, clips, _ = groups
    plain = [StoredClip(clip.path) for clip in clips]
    found = cluster(vectors, plain, count=4)
    assert (found.adjusted_rand, found.purity) == (None, None)
    assert found.clusters[0].name == "cluster 0"
    assert mean_scores(plain) == {}


def test_clusters_that_cannot_be_are_refused(groups):
    vectors, clips, _ = groups
    with pytest.raises(OptionError, match="5 embeddings; clusters need at least 10"):
        cluster(vectors[:5], clips[:5])
    with pytest.raises(OptionError, match="100 clusters of 120; give 2 to 60"):
        cluster(vectors, clips, count=100)
    with pytest.raises(OptionError, match="hdbscan finds the number"):
        cluster(vectors, clips, "hdbscan", 4)
