"""``e2v bench windows``: a timeline from the one shared pass, and with each window alone.

The two timelines differ by design: a window pooled from the shared pass has heard the context
around it, a window encoded alone has not.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np

from emotion2vec_edge.engine import Recognizer, Timeline
from emotion2vec_edge.engine.audio.types import LEAST_SAMPLES, SAMPLE_RATE, Samples

from .document import Column, Document, Table, bars
from .machine import describe
from .models import model_line
from .timing import interleaved

WINDOWS = ((0.1, 0.05), (1.0, 0.5), (2.0, 0.5))
"""Window and hop in seconds."""

WHY = (
    "Why they differ: the encoder attends over all that it is given. A window pooled from "
    "the shared pass is the mean of frames that have heard the whole clip; encoded alone, the same "
    "frames hear nothing but the window, and the waveform is normalised by the window's own level. "
    "The model was trained on whole utterances, so of the two the shared pass is nearer to what it "
    "knows, and least of all it knows 0.1 s by itself. The difference shrinks as windows grow."
)


def encoded_alone(recognizer: Recognizer, samples: Samples, timeline: Timeline) -> np.ndarray:
    """Scores of each window of a timeline encoded by itself: float32 [windows, labels]."""
    scores = []
    for start, end in zip(timeline.starts, timeline.ends, strict=True):
        first = round(start * SAMPLE_RATE)
        last = max(round(end * SAMPLE_RATE), first + LEAST_SAMPLES)
        window = samples[min(first, len(samples) - LEAST_SAMPLES) : last]
        scores.append(list(recognizer.recognize(window, SAMPLE_RATE).scores.values()))
    return np.array(scores, np.float32)


def measure(
    model: str | None, clips: Sequence[Samples], rounds: int, progress: Callable[[str], None]
) -> Document:
    """Time and compare both ways.

    Args:
        model: path or name of a bundle; None takes the default.
        clips: float32 [samples] each; the first is timed, all are compared.
        rounds: repetitions of the timing.
        progress: told what is being done.
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
        row = _time(recognizer, clips[0], window, hop, rounds)
        pairs = [_both(recognizer, clip, window, hop) for clip in clips]
        shared, alone = (np.concatenate([pair[i] for pair in pairs]) for i in (0, 1))
        same = float((shared.argmax(axis=1) == alone.argmax(axis=1)).mean())
        table.rows.append(
            [f"{window:g} / {hop:g}", *row, same, float(np.abs(shared - alone).mean())]
        )
    return Document(
        "windows",
        {"seconds": seconds, "rounds": rounds, "clips": len(clips)},
        [model_line(recognizer)],
        machine,
        [table],
        draw,
    )


def _both(
    recognizer: Recognizer, samples: Samples, window: float, hop: float
) -> tuple[np.ndarray, np.ndarray]:
    timeline = recognizer.encode(samples, SAMPLE_RATE).timeline(window, hop)
    return timeline.scores, encoded_alone(recognizer, samples, timeline)


def _time(
    recognizer: Recognizer, samples: Samples, window: float, hop: float, rounds: int
) -> list[float]:
    def utterance() -> object:
        return recognizer.encode(samples, SAMPLE_RATE).utterance()

    # The pooling by itself: the difference of two noisy passes would hide it.
    encoding = recognizer.encode(samples, SAMPLE_RATE)
    timeline = encoding.timeline(window, hop)
    runs = interleaved([utterance, lambda: encoding.timeline(window, hop)], rounds)
    plain, pooling = (1000 * statistics.median(run) for run in runs)
    started = time.perf_counter()
    encoded_alone(recognizer, samples, timeline)
    alone = 1000 * (time.perf_counter() - started)
    return [len(timeline), plain, pooling, pooling / plain, alone, alone / (plain + pooling)]


def draw(document: Document) -> bytes:
    """A PNG; raises MissingExtraError where matplotlib is not installed."""
    rows = document.tables[0].rows
    groups = [str(row[0]) for row in rows]
    series = {
        "utterance and timeline, one pass": [
            float(row[2] or 0) + float(row[3] or 0) for row in rows
        ],
        "each window alone": [float(row[5] or 0) for row in rows],
    }
    return bars(groups, series, "Time for the timeline of one clip", "ms")
