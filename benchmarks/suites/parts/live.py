"""Live audio: latency of the windows, and their agreement with the file's."""

from __future__ import annotations

import time

import numpy as np

from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.engine.audio.types import SAMPLE_RATE, Samples
from emotion2vec_edge.engine.runtime.hardware import usable_threads
from emotion2vec_edge.engine.settings import STREAM_HOP_SECONDS as HOP
from emotion2vec_edge.engine.settings import STREAM_WINDOW_SECONDS as WINDOW

from ...instruments.load import paused_load
from ...reporting.table import Value

BLOCKS_A_SECOND = 50
"""Blocks of audio that arrive in a second."""


def stream(samples: Samples, model: str | None, seconds: float, busy: int = 0) -> list[list[Value]]:
    """Latency of windows as audio arrives in real time, and agreement with windows of the file.

    Args:
        samples: float32 [samples] at 16 kHz.
        model: path or name of a bundle; None takes the default.
        seconds: length of the part that arrives in real time.
        busy: processors kept busy by other processes, in a second run; 0 for no such run.
    """
    recognizer = Recognizer.load(model)
    rows = _latency(recognizer, samples, seconds, "in real time")
    if busy:
        with paused_load(busy) as load, load():
            case = f"in real time, {busy} of {usable_threads()} processors busy"
            rows += _latency(recognizer, samples, seconds, case)
    return [*rows, *_agreement(recognizer, samples)]


def _latency(
    recognizer: Recognizer, samples: Samples, seconds: float, pace: str
) -> list[list[Value]]:
    recognizer.recognize(
        samples[: round(WINDOW * SAMPLE_RATE)], SAMPLE_RATE
    )  # the first call is slower
    live = recognizer.stream()
    started = time.perf_counter()
    latencies: list[float] = []
    step = SAMPLE_RATE // BLOCKS_A_SECOND
    for first in range(0, round(seconds * SAMPLE_RATE), step):
        due = started + (first + step) / SAMPLE_RATE
        time.sleep(max(0.0, due - time.perf_counter()))
        live.feed(samples[first : first + step], arrived=due)
        latencies.extend(1000 * window.latency for window in live.ready())
    case = f"{len(latencies)} windows of {WINDOW:g} s every {HOP:g} s, {pace}"
    return [
        ["stream", case, float(np.percentile(latencies, p)), f"ms latency p{p}"]
        for p in (50, 95, 99)
    ]


def _agreement(recognizer: Recognizer, samples: Samples) -> list[list[Value]]:
    """Windows of a stream against each encoded alone, and against the timeline of one pass."""
    windows = recognizer.stream().push(samples)
    alone = [
        list(recognizer.recognize(
            samples[round(w.start * SAMPLE_RATE) : round(w.end * SAMPLE_RATE)], SAMPLE_RATE
        ).scores.values())
        for w in windows
    ]  # fmt: skip
    found = np.array([list(w.scores.values()) for w in windows])
    timeline = recognizer.encode(samples, SAMPLE_RATE).timeline(WINDOW, HOP)
    line = timeline.scores[: len(found)]
    rows: list[list[Value]] = []
    for name, other in (("encoded alone", np.array(alone)), ("of the file's one pass", line)):
        same = (found.argmax(axis=1) == other.argmax(axis=1)).mean()
        difference = np.abs(found - other)
        case = f"{len(found)} windows against those {name}"
        rows += [
            ["stream", case, 100 * float(same), "% same label"],
            ["stream", case, float(difference.mean()), "mean Δp"],
            ["stream", case, float(difference.max()), "max Δp"],
        ]
    return rows
