"""Pictures of tables."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from emotion2vec_edge.engine.errors import MissingExtraError

MOST_LEVEL_VALUES = 36
"""Bars above which their values stand upright, where they would overlap otherwise."""


def bars(
    groups: Sequence[str],
    series: Mapping[str, Sequence[float | None]],
    title: str,
    axis: str,
    intervals: Mapping[str, Sequence[tuple[float, float]]] | None = None,
) -> bytes:
    """A PNG of grouped bars.

    Args:
        groups: names of the groups.
        series: name → its value in each group.
        title: heading of the picture.
        axis: unit of the values.
        intervals: name → the low and high end of its interval in each group.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError(
            "pictures need matplotlib: pip install 'emotion2vec-edge[plot]'"
        ) from None
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / max(1, len(series))
    turned = 90 if len(groups) * len(series) > MOST_LEVEL_VALUES else 0
    for number, (name, values) in enumerate(series.items()):
        at = [i - 0.4 + width * (number + 0.5) for i in range(len(groups))]
        heights = [0.0 if value is None else value for value in values]
        container = axes.bar(at, heights, width * 0.95, label=name)
        if intervals is not None:
            low, high = zip(*intervals[name], strict=True)
            spans = [
                [height - x for height, x in zip(heights, low, strict=True)],
                [x - height for height, x in zip(heights, high, strict=True)],
            ]
            axes.errorbar(at, heights, spans, fmt="none", ecolor="#333333", capsize=3, lw=1)
        kind: Any = "center" if intervals is not None else "edge"
        axes.bar_label(
            container, [_short(v) for v in values], fontsize=7, padding=2, label_type=kind,
            rotation=turned,
        )  # fmt: skip
    axes.set_xticks(range(len(groups)), groups)
    axes.set_ylabel(axis)
    axes.set_title(title, loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(y=0.12)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=130)
    return picture.getvalue()


def _short(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"
