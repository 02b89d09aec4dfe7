"""Fusion of emotions from several senses: scores of speech, face, text, and others.

Nothing is loaded until it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .alignment import AlignedScores, align
    from .labels import LabelMap, label_map
    from .modality import ScoredSpan, read_modality
    from .pooling import FusedSpan, FusionWeights, fuse
    from .weights import FusionFit, fit_weights

_HOMES = {
    "AlignedScores": "alignment",
    "FusedSpan": "pooling",
    "FusionFit": "weights",
    "FusionWeights": "pooling",
    "LabelMap": "labels",
    "ScoredSpan": "modality",
    "align": "alignment",
    "fit_weights": "weights",
    "fuse": "pooling",
    "label_map": "labels",
    "read_modality": "modality",
}

__all__ = [
    "AlignedScores",
    "FusedSpan",
    "FusionFit",
    "FusionWeights",
    "LabelMap",
    "ScoredSpan",
    "align",
    "fit_weights",
    "fuse",
    "label_map",
    "read_modality",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
