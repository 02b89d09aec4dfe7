"""A map as a picture, for reports."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..files import write_file


def draw_map(
    points: NDArray[np.float32], labels: Sequence[str], colours: Mapping[str, str], path: Path
) -> None:
    """Draw points, coloured by their labels, as PNG, SVG or PDF by the ending of the path.

    Args:
        points: float32 [clips, 2].
        labels: label of each; empty for none.
        colours: colour by label.
        path: the picture; matplotlib must be installed.

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
    for label in dict.fromkeys(labels):
        inside = own == label
        axes.scatter(
            points[inside, 0], points[inside, 1], s=size, linewidths=0, alpha=0.7,
            color=colours.get(label, "#888888"), label=label or "unknown",
        )  # fmt: skip
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.legend(markerscale=max(1.0, 5 / size**0.5), frameon=False)
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix[1:].lower(), dpi=150)
    write_file(path, content.getvalue())
