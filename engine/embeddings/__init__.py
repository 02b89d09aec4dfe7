"""Embeddings as a tool: spaces to compare them in, stores, search, clusters, maps, and drift.

Nothing is loaded until it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .approximate import ApproximateIndex
    from .clips import StoredClip
    from .clusters import Cluster, Clustering, Trial, cluster
    from .drift import Drift, compare_stores
    from .fitting import FitSpeech, FittedSpace, fit_space
    from .search import Found, nearest_clips
    from .space import Space
    from .store import Content, Store

_HOMES = {
    "ApproximateIndex": "approximate",
    "Cluster": "clusters",
    "Clustering": "clusters",
    "Content": "store",
    "Drift": "drift",
    "FitSpeech": "fitting",
    "FittedSpace": "fitting",
    "Found": "search",
    "Space": "space",
    "Store": "store",
    "StoredClip": "clips",
    "Trial": "clusters",
    "cluster": "clusters",
    "compare_stores": "drift",
    "fit_space": "fitting",
    "nearest_clips": "search",
}

__all__ = [
    "ApproximateIndex",
    "Cluster",
    "Clustering",
    "Content",
    "Drift",
    "FitSpeech",
    "FittedSpace",
    "Found",
    "Space",
    "Store",
    "StoredClip",
    "Trial",
    "cluster",
    "compare_stores",
    "fit_space",
    "nearest_clips",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
