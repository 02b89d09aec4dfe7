"""Maps from the labels of other models and data sets to emotion2vec's, kept as data."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ModalityError

MAPS_FILE = Path(__file__).with_name("label_maps.json")


@dataclass(frozen=True)
class LabelMap:
    """A map of one set of labels."""

    name: str
    source: str
    """The publication that defines the labels."""
    labels: Mapping[str, str]
    """Label of the set, in lower case → label id of emotion2vec."""


@functools.cache
def label_maps() -> Mapping[str, LabelMap]:
    """The known maps by name."""
    document = json.loads(MAPS_FILE.read_text(encoding="utf-8"))
    return {name: LabelMap(name, own["source"], own["labels"]) for name, own in document.items()}


def label_map(name: str) -> LabelMap:
    """A known map.

    Raises:
        ModalityError: there is none of that name.
    """
    maps = label_maps()
    if name not in maps:
        raise ModalityError(f"label map {name!r:.60} is not known; there are {', '.join(maps)}")
    return maps[name]


def mapped(
    scores: Mapping[str, float], labels: Sequence[str], own: LabelMap | None, place: str
) -> dict[str, float]:
    """Scores under the labels that are fused; those of several labels of one emotion are summed.

    Args:
        scores: probability by the modality's own label.
        labels: label ids that are fused.
        own: the map; None for a modality with emotion2vec's labels.
        place: the row, for messages.

    Returns:
        probabilities that sum to 1, for those of ``labels`` that the modality can give.

    Raises:
        ModalityError: a label without a counterpart, or no probability on any that has one.
    """
    found: dict[str, float] = {}
    for label, score in scores.items():
        target = label if own is None else own.labels.get(label.strip().lower())
        if target is None or (own is None and target not in labels):
            known = ", ".join(labels if own is None else own.labels)
            raise ModalityError(
                f"{place}: label {label!r:.60} does not map; "
                + (f"the labels are {known}, or those of a label map: {', '.join(label_maps())}"
                   if own is None else f"{own.name} has {known}")
            )  # fmt: skip
        if target in labels:
            found[target] = found.get(target, 0.0) + score
    total = sum(found.values())
    if total <= 0:
        raise ModalityError(f"{place}: no probability on any of {', '.join(labels)}")
    return {label: score / total for label, score in found.items()}
