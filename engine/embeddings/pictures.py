"""A map as a picture, for reports."""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..files import write_file


def draw_map(
    points: NDArray[np.float32],
    labels: Sequence[str],
    colours: Mapping[str, str],
    path: Path,
    trajectory: Sequence[int] = (),
) -> None:
    """Draw points, coloured by their labels, as PNG, SVG or PDF by the ending of the path.

    Args:
        points: float32 [clips, 2].
        labels: label of each; empty for none.
        colours: colour by label.
        path: the picture; matplotlib must be installed.
        trajectory: numbers of points that arrows join, in their order.

    Raises:
        OutputError: the picture cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    own = np.array(labels)
    size = float(np.clip(4e4 / len(labels), 1, 30))
    strength = 0.25 if trajectory else 0.7
    for label in dict.fromkeys(labels):
        inside = own == label
        axes.scatter(
            points[inside, 0], points[inside, 1], s=size, linewidths=0, alpha=strength,
            color=colours.get(label, "#888888"), label=label or "unknown",
        )  # fmt: skip
    for number, (start, end) in enumerate(itertools.pairwise(trajectory)):
        axes.annotate(
            "", points[end], points[start], arrowprops={"arrowstyle": "-|>", "color": "#222222"}
        )
        if number == 0:
            axes.annotate("start", points[start], xytext=(5, 5), textcoords="offset points")
    for number in trajectory:
        axes.scatter(
            points[number, 0],
            points[number, 1],
            s=40,
            color=colours.get(labels[number], "#888888"),
            zorder=3,
        )
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.legend(markerscale=max(1.0, 5 / size**0.5), frameon=False)
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix[1:].lower(), dpi=150)
    write_file(path, content.getvalue())
