"""Colours of the emotions, for pictures and pages."""

from __future__ import annotations

from collections.abc import Sequence

COLOURS = {
    "angry": "#d4523b",
    "disgusted": "#505012",
    "fearful": "#8d63e6",
    "happy": "#ffca54",
    "neutral": "#b5b5b5",
    "other": "#0f9499",
    "sad": "#2f62a6",
    "surprised": "#e8923a",
    "unknown": "#e4e4e4",
}
"""Colour by label id, the same everywhere, so that pictures can be compared.

Their lightness differs where their hues are near, so that colour-blind people tell them apart too.
"""

SPARE_COLOURS = ("#17becf", "#e377c2", "#2ca02c", "#bcbd22", "#393b79")
"""Colours for labels of one's own, in turns."""


def colours_of(labels: Sequence[str]) -> dict[str, str]:
    """A colour for each label id, which depends on the labels and not on their scores."""
    own = [label for label in labels if label not in COLOURS]
    spare = {label: SPARE_COLOURS[i % len(SPARE_COLOURS)] for i, label in enumerate(own)}
    return {label: COLOURS.get(label) or spare[label] for label in labels}
