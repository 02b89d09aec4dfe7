"""A picture of a timeline: the waveform above, the probabilities of the emotions stacked below."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from ..audio.meter import OUTLINE_SECONDS
from ..errors import MissingExtraError, OptionError
from ..files import atomic_file
from .encoding import Encoding

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
"""By label, so that pictures can be compared; other labels take what is left."""
OTHER_COLOURS = ("#17becf", "#e377c2", "#2ca02c", "#bcbd22", "#393b79")
SUFFIXES = (".png", ".svg", ".pdf")
MOST_COLUMNS = 2_000
"""More than a picture has pixels."""


def check_plot(path: Path) -> None:
    """Refuse a plot that cannot be drawn before anything is computed.

    Raises:
        OptionError: the ending is not one of a picture.
        MissingExtraError: matplotlib is not installed.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise OptionError(f"{path}: a plot is one of {', '.join(SUFFIXES)}")
    try:
        import matplotlib as mpl  # noqa: F401
    except ImportError:
        raise MissingExtraError(
            "plots need matplotlib: pip install 'emotion2vec-edge[plot]'"
        ) from None


def plot_timeline(encoding: Encoding, path: Path, window: float, hop: float, title: str) -> None:
    """Draw the timeline of a recording.

    Args:
        encoding: the recording after its pass.
        path: a ``.png``, ``.svg`` or ``.pdf``.
        window: seconds of one window.
        hop: seconds from one window to the next.
        title: stands above the waveform.

    Raises:
        NoHeadError, OptionError: as :meth:`Encoding.timeline`; another ending.
        MissingExtraError: matplotlib is not installed.
        OutputError: the file cannot be written.
    """
    check_plot(path)
    from matplotlib.figure import Figure

    hop = max(hop, encoding.seconds / MOST_COLUMNS)
    timeline = encoding.timeline(max(window, hop), hop)
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    wave, emotions = figure.subplots(2, 1, sharex=True, height_ratios=[1, 2])

    step = max(1, len(encoding.outline) // MOST_COLUMNS)
    count = max(1, len(encoding.outline) // step)
    outline = np.resize(encoding.outline, (count * step, 2)).reshape(count, step, 2)
    at = (np.arange(count) + 0.5) * step * OUTLINE_SECONDS
    wave.fill_between(at, outline[..., 0].min(axis=1), outline[..., 1].max(axis=1), color="#444444",
                      linewidth=0)  # fmt: skip
    peak = max(float(np.abs(outline).max(initial=0.0)), 1e-3)
    wave.set_ylim(-1.05 * peak, 1.05 * peak)
    wave.set_ylabel("amplitude")
    wave.set_title(title, loc="left", fontsize=10, parse_math=False)

    # From edge to edge: the first and the last window stand for what lies outside their middle.
    centres = np.clip((timeline.starts + timeline.ends) / 2, 0, encoding.seconds)
    centres = np.concatenate([[0.0], centres, [encoding.seconds]])
    scores = np.concatenate([timeline.scores[:1], timeline.scores, timeline.scores[-1:]])
    # The legend reads like the picture: what takes most of it stands at the bottom of both.
    order = np.argsort(-scores.mean(axis=0))
    spare = iter(OTHER_COLOURS * len(timeline.labels))
    colours = [COLOURS.get(timeline.labels[i]) or next(spare) for i in order]
    emotions.stackplot(
        centres, scores.T[order], labels=[timeline.labels[i] for i in order], colors=colours
    )
    emotions.set_xlim(0, encoding.seconds)
    emotions.set_ylim(0, 1)
    emotions.set_xlabel("seconds")
    emotions.set_ylabel("probability")
    handles, labels = emotions.get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside right lower", frameon=False)

    picture = io.BytesIO()
    figure.savefig(picture, format=path.suffix[1:].lower(), dpi=150)
    with atomic_file(path) as file:
        file.write(picture.getvalue())
