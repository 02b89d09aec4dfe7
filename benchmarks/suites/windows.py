"""Timelines: pooled from one shared pass, and with each window encoded alone.

The two differ by design: a window that is pooled from the shared pass has heard the context around
it, a window that is encoded alone has not.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emotion2vec_edge.engine import Recognizer, Timeline
from emotion2vec_edge.engine.audio.types import LEAST_SAMPLES, SAMPLE_RATE, Samples
from emotion2vec_edge.engine.progress import Progress

from ..instruments.machine import describe
from ..instruments.timing import interleaved
from ..models import model_line
from ..reporting.charts import bars
from ..reporting.document import Document
from ..reporting.table import Column, Table
from ..speech import joined_speech

WINDOWS = ((0.1, 0.05), (1.0, 0.5), (2.0, 0.5))
"""Window and hop in seconds."""

WHY = (
    "Why they differ: the encoder attends to all of its input. A window pooled from the shared "
    "pass is the mean of frames that have heard the whole clip; encoded alone, the same frames "
    "hear the window only, and the waveform is normalised by the window's own level. The model was "
    "trained on whole utterances, so the shared pass is nearer to its training, and 0.1 s alone is "
    "farthest from it. The difference shrinks as windows grow."
)


def encoded_alone(recognizer: Recognizer, samples: Samples, timeline: Timeline) -> np.ndarray:
    """Scores of each window of a timeline, encoded alone: float32 [windows, labels]."""
    scores = []
    for start, end in zip(timeline.starts, timeline.ends, strict=True):
        first = round(start * SAMPLE_RATE)
        last = max(round(end * SAMPLE_RATE), first + LEAST_SAMPLES)
        window = samples[min(first, len(samples) - LEAST_SAMPLES) : last]
        scores.append(list(recognizer.recognize(window, SAMPLE_RATE).scores.values()))
    return np.array(scores, np.float32)


def clips_of(source: Path | None, seconds: float, count: int) -> list[Samples]:
    """Clips of equal length from joined recordings; see :func:`~.speech.joined_speech`."""
    samples = joined_speech(source, count * seconds)
    return np.split(samples, range(0, len(samples), round(seconds * SAMPLE_RATE))[1:])[:count]


def measure(
    model: str | None, clips: Sequence[Samples], rounds: int, progress: Progress
) -> Document:
    """Time and compare the two timelines.

    Args:
        model: path or name of a bundle; None takes the default.
        clips: float32 [samples] each; the first is timed, all are compared.
        rounds: repetitions of the timing.
        progress: receives the name of each step.
    """
    machine = describe()
    recognizer = Recognizer.load(model)
    seconds = len(clips[0]) / SAMPLE_RATE
    table = Table(
        "Timeline from one shared pass, against each window alone",
        [Column("window / hop"), Column("windows", "d"), Column("utterance ms", ".1f", "lower"),
         Column("+ timeline ms", ".2f", "lower"), Column("cost", ".2%"),
         Column("each alone ms", ".0f"), Column("ratio", ".1f", "higher"),
         Column("same label", ".1%"), Column("mean Δp", ".4f")],
        note=f"Time: {seconds:g} s of audio, {rounds} rounds in turns, medians. Agreement: "
        f"{len(clips)} clips. {WHY}",
    )  # fmt: skip
    for window, hop in WINDOWS:
        progress(f"windows of {window:g} s")
        times = _times(recognizer, clips[0], window, hop, rounds)
        pairs = [_both_scores(recognizer, clip, window, hop) for clip in clips]
        shared, alone = (np.concatenate([pair[i] for pair in pairs]) for i in (0, 1))
        same = float((shared.argmax(axis=1) == alone.argmax(axis=1)).mean())
        table.rows.append(
            [f"{window:g} / {hop:g}", *times, same, float(np.abs(shared - alone).mean())]
        )
    return Document(
        "windows",
        {"seconds": seconds, "rounds": rounds, "clips": len(clips)},
        [model_line(recognizer)],
        machine,
        [table],
        draw,
    )


def _both_scores(
    recognizer: Recognizer, samples: Samples, window: float, hop: float
) -> tuple[np.ndarray, np.ndarray]:
    timeline = recognizer.encode(samples, SAMPLE_RATE).timeline(window, hop)
    return timeline.scores, encoded_alone(recognizer, samples, timeline)


def _times(
    recognizer: Recognizer, samples: Samples, window: float, hop: float, rounds: int
) -> list[float]:
    def utterance() -> object:
        return recognizer.encode(samples, SAMPLE_RATE).utterance()

    # The pooling is timed by itself, because the difference of two noisy passes would hide it.
    encoding = recognizer.encode(samples, SAMPLE_RATE)
    timeline = encoding.timeline(window, hop)
    runs = interleaved([utterance, lambda: encoding.timeline(window, hop)], rounds)
    plain, pooling = (1000 * statistics.median(run) for run in runs)
    started = time.perf_counter()
    encoded_alone(recognizer, samples, timeline)
    alone = 1000 * (time.perf_counter() - started)
    return [len(timeline), plain, pooling, pooling / plain, alone, alone / (plain + pooling)]


def draw(document: Document) -> bytes:
    """A PNG of the time for one timeline; raises MissingExtraError without matplotlib."""
    rows = document.tables[0].rows
    groups = [str(row[0]) for row in rows]
    series = {
        "utterance and timeline, one pass": [
            float(row[2] or 0) + float(row[3] or 0) for row in rows
        ],
        "each window alone": [float(row[5] or 0) for row in rows],
    }
    return bars(groups, series, "Time for the timeline of one clip", "ms")
