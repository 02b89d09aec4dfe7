"""Clusters of embeddings: how many there are, what each holds, and what lies apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingExtraError, OptionError
from ..settings import ClusterMethod
from .clips import StoredClip
from .space import unit

COUNTS = range(2, 13)
"""Numbers of clusters that are tried."""
SEEDS = 5
"""Runs of each number, whose agreement is its stability."""
STABLE = 0.8
"""Agreement of runs from which on a number of clusters counts as stable."""
MOST_TRIED = 5_000
"""Clips that the number of clusters is chosen on."""
LEAST_CLIPS = 10
LEAST_MEMBERS = 5
"""Clips of the smallest cluster that HDBSCAN makes."""
EXAMPLES = 3
OUTLIER = -1
"""Cluster of clips that HDBSCAN takes for outliers."""


@dataclass(frozen=True)
class Trial:
    """One number of clusters that was tried."""

    count: int
    silhouette: float
    """Mean silhouette, −1 to 1: distance to the next cluster against that within the own one."""
    stability: float
    """Mean adjusted Rand index between runs from different seeds."""


@dataclass(frozen=True)
class Cluster:
    """One cluster."""

    number: int
    name: str
    """The emotions that its clips were heard as, strongest first."""
    size: int
    scores: dict[str, float]
    """Mean probability by label id, largest first."""
    examples: tuple[str, ...]
    """Clips nearest to its centre."""
    outliers: tuple[str, ...]
    """Clips farthest from its centre, farthest first."""


@dataclass(frozen=True, eq=False)
class Clustering:
    """Clusters of the clips of a store."""

    method: ClusterMethod
    assigned: NDArray[np.int64]
    """Cluster of each clip, from 0; −1 for none: int64 [clips]."""
    clusters: tuple[Cluster, ...]
    trials: tuple[Trial, ...]
    """Numbers of clusters that were tried; empty if the number was given or found otherwise."""
    adjusted_rand: float | None
    """Agreement with the labels, 0 by chance and 1 at best; None without labels."""
    purity: float | None
    """Share of clips that have the commonest label of their cluster; None without labels."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form, without the cluster of each clip."""
        return {
            "method": self.method,
            "clips": len(self.assigned),
            "outliers": int((self.assigned == OUTLIER).sum()),
            "adjusted_rand": self.adjusted_rand,
            "purity": self.purity,
            "trials": [asdict(trial) for trial in self.trials],
            "clusters": [asdict(cluster) for cluster in self.clusters],
        }


def cluster(
    vectors: NDArray[np.float32],
    clips: Sequence[StoredClip],
    method: ClusterMethod = "kmeans",
    count: int | None = None,
) -> Clustering:
    """Group clips by their vectors.

    The number of clusters is the one of the best silhouette among those that come out alike from
    different seeds, or the one that comes out most alike.

    Args:
        vectors: float32 [clips, size], in a space.
        clips: what they are of.
        method: ``kmeans``, ``gmm`` (Gaussian mixture), or ``hdbscan``, which finds their number.
        count: number of clusters; None finds it.

    Raises:
        MissingExtraError: scikit-learn is not installed.
        OptionError: too few clips, or a number of clusters that they do not make.
    """
    check_clustering()
    if len(clips) < LEAST_CLIPS:
        raise OptionError(f"{len(clips)} embeddings; clusters need at least {LEAST_CLIPS}")
    if count is not None and not 2 <= count <= len(clips) // 2:
        raise OptionError(f"{count} clusters of {len(clips)}; give 2 to {len(clips) // 2}")
    if count is not None and method == "hdbscan":
        raise OptionError("hdbscan finds the number of clusters itself; leave --count out")
    scaled = unit(vectors).astype(np.float64)
    trials: tuple[Trial, ...] = ()
    if method == "hdbscan":
        from sklearn.cluster import HDBSCAN

        members = max(LEAST_MEMBERS, len(clips) // 100)
        assigned = HDBSCAN(min_cluster_size=members, copy=True).fit_predict(scaled)
    else:
        if count is None:
            trials = _trials(scaled, method)
            count = _best(trials)
        assigned = _run(scaled, method, count, 0)
    assigned = assigned.astype(np.int64)
    rand, purity = _agreement(assigned, clips)
    return Clustering(method, assigned, _described(scaled, assigned, clips), trials, rand, purity)


def check_clustering() -> None:
    """Refuse to work without scikit-learn.

    Raises:
        MissingExtraError: it is not installed.
    """
    import importlib.util

    if importlib.util.find_spec("sklearn") is None:
        raise MissingExtraError("this needs scikit-learn: pip install 'emotion2vec-edge[cluster]'")


def _run(
    vectors: NDArray[np.float64], method: ClusterMethod, count: int, seed: int
) -> NDArray[np.int64]:
    if method == "gmm":
        from sklearn.mixture import GaussianMixture

        model: Any = GaussianMixture(count, covariance_type="diag", random_state=seed)
    else:
        from sklearn.cluster import KMeans

        model = KMeans(count, n_init=3, random_state=seed)
    return np.asarray(model.fit_predict(vectors), np.int64)


def _trials(vectors: NDArray[np.float64], method: ClusterMethod) -> tuple[Trial, ...]:
    from sklearn.metrics import adjusted_rand_score, silhouette_score

    step = max(1, -(-len(vectors) // MOST_TRIED))
    some = vectors[::step]
    trials = []
    for count in COUNTS:
        if count > len(some) // 2:
            break
        runs = [_run(some, method, count, seed) for seed in range(SEEDS)]
        stability = np.mean([adjusted_rand_score(a, b) for a, b in combinations(runs, 2)])
        found = runs[0]
        silhouette = silhouette_score(some, found) if len(set(found.tolist())) > 1 else -1.0
        trials.append(Trial(count, float(silhouette), float(stability)))
    return tuple(trials)


def _best(trials: Sequence[Trial]) -> int:
    stable = [trial for trial in trials if trial.stability >= STABLE]
    if stable:
        return max(stable, key=lambda trial: trial.silhouette).count
    return max(trials, key=lambda trial: trial.stability).count


def _described(
    vectors: NDArray[np.float64], assigned: NDArray[np.int64], clips: Sequence[StoredClip]
) -> tuple[Cluster, ...]:
    described = []
    for number in sorted(set(assigned.tolist()) - {OUTLIER}):
        rows = np.flatnonzero(assigned == number)
        centre = vectors[rows].mean(axis=0)
        order = rows[np.argsort(((vectors[rows] - centre) ** 2).sum(axis=1), kind="stable")]
        names = [clips[row].name for row in order.tolist()]
        scores = mean_scores([clips[row] for row in rows.tolist()])
        top = [f"{label} {share:.0%}" for label, share in list(scores.items())[:2]]
        described.append(
            Cluster(
                number, ", ".join(top) or f"cluster {number}", len(rows), scores,
                tuple(names[:EXAMPLES]), tuple(names[: -EXAMPLES - 1 : -1]),
            )
        )  # fmt: skip
    return tuple(described)


def mean_scores(clips: Sequence[StoredClip]) -> dict[str, float]:
    """Mean probability by label id over clips that have scores, largest first."""
    total: Counter[str] = Counter()
    scored = [clip.scores for clip in clips if clip.scores]
    for scores in scored:
        total.update(scores)
    return {label: value / len(scored) for label, value in total.most_common()}


def _agreement(
    assigned: NDArray[np.int64], clips: Sequence[StoredClip]
) -> tuple[float | None, float | None]:
    """Adjusted Rand index and purity, over the clips that have a label."""
    from sklearn.metrics import adjusted_rand_score

    pairs = [(clip.label, own) for clip, own in zip(clips, assigned.tolist(), strict=True)
             if clip.label is not None]  # fmt: skip
    if not pairs:
        return None, None
    labels, numbers = zip(*pairs, strict=True)
    members: dict[int, Counter[str]] = {}
    for label, number in pairs:
        members.setdefault(number, Counter())[label] += 1
    pure = sum(counts.most_common(1)[0][1] for counts in members.values())
    return float(adjusted_rand_score(labels, numbers)), pure / len(pairs)
