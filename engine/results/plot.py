"""Pictures of a recording: its timeline, or its turns.

A timeline has the waveform above, and the probabilities of the emotions stacked below; turns have a
lane for each speaker.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..audio.meter import OUTLINE_SECONDS
from ..errors import MissingExtraError, OptionError
from ..files import atomic_file
from .colours import colours_of
from .decision import REJECTED
from .encoding import Encoding
from .timeline import Timeline
from .types import NOBODY, Conversation
from .writers.base import one_line

SUFFIXES = (".png", ".svg", ".pdf")
MOST_NAME = 30
"""Characters of a speaker's name that are shown."""
MOST_INCHES = 30.0
"""Height of the largest picture."""
LANE_HEIGHT = 0.8
"""Part of a lane that a turn of confidence 1 fills."""
MOST_COLUMNS = 2_000
"""Largest number of points along the time axis; a picture has fewer pixels."""


def check_plot(path: Path) -> None:
    """Refuse a plot that cannot be drawn, before anything is computed.

    Raises:
        OptionError: the suffix is not that of a picture.
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
        encoding: the encoded recording.
        path: a ``.png``, ``.svg`` or ``.pdf``.
        window: seconds of one window.
        hop: seconds between the starts of two windows.
        title: text above the waveform.

    Raises:
        NoHeadError, OptionError: as :meth:`Encoding.timeline`; another suffix.
        MissingExtraError: matplotlib is not installed.
        OutputError: the file cannot be written.
    """
    check_plot(path)
    from matplotlib.figure import Figure

    hop = max(hop, encoding.seconds / MOST_COLUMNS)
    timeline = encoding.timeline(max(window, hop), hop)
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    wave, emotions = figure.subplots(2, 1, sharex=True, height_ratios=[1, 2])
    _draw_wave(wave, encoding.outline)
    wave.set_title(title, loc="left", fontsize=10, parse_math=False)
    _draw_emotions(emotions, timeline, encoding.seconds)
    handles, labels = emotions.get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside right lower", frameon=False)

    _save(figure, path)


def plot_turns(conversation: Conversation, path: Path, title: str) -> None:
    """Draw the turns of a recording, a lane for each speaker: a bar's height is its confidence.

    Args:
        conversation: the turns.
        path: a ``.png``, ``.svg`` or ``.pdf``.
        title: text above the lanes.

    Raises:
        OptionError: another suffix.
        MissingExtraError: matplotlib is not installed.
        OutputError: the file cannot be written.
    """
    check_plot(path)
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(turn.speaker or NOBODY for turn in conversation)) or [NOBODY]
    height = min(1.2 + 0.8 * len(names), MOST_INCHES)
    figure = Figure(figsize=(10, height), layout="constrained")
    axes = figure.subplots()
    colours = colours_of([*conversation.labels, REJECTED])
    for turn in conversation:
        lane = names.index(turn.speaker or NOBODY)
        span = (turn.start, max(turn.end - turn.start, conversation.seconds / MOST_COLUMNS))
        axes.broken_barh([span], (lane + 0.4, -LANE_HEIGHT), color="#eeeeee", linewidth=0)
        axes.broken_barh(
            [span], (lane + 0.4, -LANE_HEIGHT * turn.confidence), color=colours[turn.emotion],
            linewidth=0,
        )  # fmt: skip
    shown = [name if len(name) <= MOST_NAME else f"{name[: MOST_NAME - 1]}…" for name in names]
    axes.set_yticks(range(len(names)), [one_line(name) for name in shown], parse_math=False)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_ylabel("height: confidence")
    axes.set_xlim(0, max(conversation.seconds, 1e-3))
    axes.set_xlabel("seconds")
    axes.set_title(title, loc="left", fontsize=10, parse_math=False)
    found = {turn.emotion for turn in conversation}
    for label in (label for label in colours if label in found):
        axes.barh(0, 0, color=colours[label], label=label)
    if found:
        figure.legend(loc="outside right upper", frameon=False)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    picture = io.BytesIO()
    figure.savefig(picture, format=path.suffix[1:].lower(), dpi=150)
    with atomic_file(path) as file:
        file.write(picture.getvalue())


def _draw_wave(axes: Any, outline: NDArray[np.float32]) -> None:
    """Draw the outline of a waveform, float32 [columns, 2]."""
    step = max(1, len(outline) // MOST_COLUMNS)
    count = max(1, len(outline) // step)
    blocks = np.resize(outline, (count * step, 2)).reshape(count, step, 2)
    at = (np.arange(count) + 0.5) * step * OUTLINE_SECONDS
    lowest, highest = blocks[..., 0].min(axis=1), blocks[..., 1].max(axis=1)
    axes.fill_between(at, lowest, highest, color="#444444", linewidth=0)
    peak = max(float(np.abs(blocks).max(initial=0.0)), 1e-3)
    axes.set_ylim(-1.05 * peak, 1.05 * peak)
    axes.set_ylabel("amplitude")


def _draw_emotions(axes: Any, timeline: Timeline, seconds: float) -> None:
    """Draw the scores of a timeline, stacked."""
    # From edge to edge: the first and the last window stand for the time beyond their centres.
    centres = np.clip((timeline.starts + timeline.ends) / 2, 0, seconds)
    centres = np.concatenate([[0.0], centres, [seconds]])
    scores = np.concatenate([timeline.scores[:1], timeline.scores, timeline.scores[-1:]])
    # The legend reads like the picture: the emotion with the largest area is the lowest in both.
    order = [timeline.labels[i] for i in np.argsort(-scores.mean(axis=0))]
    columns = [timeline.labels.index(label) for label in order]
    colours = colours_of(timeline.labels)
    axes.stackplot(
        centres, scores.T[columns], labels=order, colors=[colours[label] for label in order]
    )
    axes.set_xlim(0, seconds)
    axes.set_ylim(0, 1)
    axes.set_xlabel("seconds")
    axes.set_ylabel("probability")
