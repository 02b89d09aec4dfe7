"""Colours of the emotions, for pictures and pages."""

from __future__ import annotations

from collections.abc import Sequence

COLOURS = {
    "angry": "#d62728",
    "disgusted": "#8c6d31",
    "fearful": "#9467bd",
    "happy": "#ffbf00",
    "neutral": "#b0b0b0",
    "other": "#7fb8a4",
    "sad": "#1f77b4",
    "surprised": "#ff7f0e",
    "unknown": "#e3e3e3",
}
"""Colour by label id, the same everywhere, so that pictures can be compared."""

SPARE_COLOURS = ("#17becf", "#e377c2", "#2ca02c", "#bcbd22", "#393b79")
"""Colours for labels of one's own, in turns."""


def colours_of(labels: Sequence[str]) -> dict[str, str]:
    """A colour for each label id, which depends on the labels and not on their scores."""
    own = [label for label in labels if label not in COLOURS]
    spare = {label: SPARE_COLOURS[i % len(SPARE_COLOURS)] for i, label in enumerate(own)}
    return {label: COLOURS.get(label) or spare[label] for label in labels}
