"""Long recordings: memory of the process, and chunks against one pass over the whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.engine.audio.types import SAMPLE_RATE, Samples
from emotion2vec_edge.engine.settings import (
    CHUNK_SECONDS,
    CONTEXT_SECONDS,
    STREAM_HOP_SECONDS,
    STREAM_WINDOW_SECONDS,
)

from ...instruments.process import E2V, run
from ...reporting.table import Value
from ...speech import of_length

SHORT_MINUTES, LONG_MINUTES = 2, 60
CHUNKS = (
    (CHUNK_SECONDS, CONTEXT_SECONDS), (CHUNK_SECONDS, 0.0), (CHUNK_SECONDS, 5.0),
    (10.0, CONTEXT_SECONDS),
)  # fmt: skip
"""Seconds of a chunk, and of context on each side of it."""
ONE_PASS_SECONDS = 1e4
"""Chunk length at which every recording is one pass."""


def memory(samples: Samples, folder: Path, model: str | None) -> list[list[Value]]:
    """Peak memory of the whole process for a short and a long recording.

    Args:
        samples: speech, repeated to the lengths.
        folder: scratch folder.
        model: path or name of a bundle; None takes the default.
    """
    rows: list[list[Value]] = []
    peaks = {}
    option = ("--model", model) if model else ()
    for minutes in (SHORT_MINUTES, LONG_MINUTES):
        path = folder / f"{minutes}.flac"
        soundfile.write(path, of_length(samples, minutes * 60), SAMPLE_RATE)
        seconds, peaks[minutes] = run(
            *E2V, "recognize", str(path), "--granularity", "frame", "--format", "json",
            "-o", str(folder / "out.json"), *option,
        )  # fmt: skip
        case = f"{minutes} min, whole process with its timeline"
        rows += [
            ["memory", case, peaks[minutes], "MiB peak"],
            ["memory", case, 60 * minutes / seconds, "x real time"],
        ]
    case = f"{LONG_MINUTES} min against {SHORT_MINUTES} min"
    return [*rows, ["memory", case, peaks[LONG_MINUTES] / peaks[SHORT_MINUTES], "times"]]


def chunks(samples: Samples, model: str | None) -> list[list[Value]]:
    """Difference of chunked results to one pass over the whole recording."""
    whole = Recognizer.load(model, chunk_seconds=ONE_PASS_SECONDS).encode(samples, SAMPLE_RATE)
    expected, line = whole.utterance(), whole.timeline(STREAM_WINDOW_SECONDS, STREAM_HOP_SECONDS)
    rows: list[list[Value]] = []
    for seconds, context in CHUNKS:
        recognizer = Recognizer.load(model, chunk_seconds=seconds, context_seconds=context)
        encoding = recognizer.encode(samples, SAMPLE_RATE)
        found = encoding.timeline(STREAM_WINDOW_SECONDS, STREAM_HOP_SECONDS)
        difference = np.abs(found.scores - line.scores)
        same = (found.scores.argmax(axis=1) == line.scores.argmax(axis=1)).mean()
        scores = encoding.utterance().scores
        clip = max(abs(scores[label] - score) for label, score in expected.scores.items())
        case = f"{len(samples) / SAMPLE_RATE:.0f} s in {seconds:g} s with {context:g} s of context"
        same_label = f"% of {STREAM_WINDOW_SECONDS:g} s windows same label"
        figures: dict[str, float] = {
            same_label: 100 * float(same),
            "mean Δp of windows": float(difference.mean()),
            "max Δp of windows": float(difference.max()),
            "max Δp of the recording": clip,
        }
        rows += [["chunks against one pass", case, x, unit] for unit, x in figures.items()]
    return rows
