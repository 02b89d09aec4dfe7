"""Throughput: clips a second, by the number of clips that are encoded together."""

from __future__ import annotations

import functools
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.engine.audio.types import SAMPLE_RATE, Samples
from emotion2vec_edge.engine.progress import Progress

from ..baselines.settings import Run
from ..instruments.machine import describe
from ..instruments.timing import interleaved
from ..models import model_line
from ..reporting.charts import bars
from ..reporting.document import Document
from ..reporting.table import Column, Table
from ..speech import of_length, sample_speech
from .runners import RunnerSettings


@dataclass(frozen=True)
class ThroughputSettings(RunnerSettings):
    """Batches to time."""

    seconds: tuple[float, ...] = (3.0, 10.0)
    """Lengths of the clips."""
    sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    """Numbers of clips that are encoded together."""


def measure(settings: ThroughputSettings, progress: Progress) -> Document:
    """Time batches of every size.

    Args:
        settings: runners and batches.
        progress: receives the name of each step.

    Raises:
        As :func:`~.latency.measure`.
    """
    settings.check()
    machine = describe()
    engines = {name: settings.load(name) for name in settings.variant_names()}
    first = next(iter(engines.values()))
    runs: dict[str, Run] = {name: functools.partial(_scores, e) for name, e in engines.items()}
    with tempfile.TemporaryDirectory() as folder:
        runs |= settings.build_baselines(first, Path(folder), progress)
        table = _table(runs, settings, progress)
    return Document(
        "throughput",
        {
            "seconds": list(settings.seconds), "sizes": list(settings.sizes),
            **settings.document_settings(engines),
        },
        [model_line(first)],
        machine,
        [table],
        draw,
    )  # fmt: skip


def _scores(engine: Recognizer, clips: Samples) -> NDArray[np.floating[Any]]:
    """float32 [clips, samples] → probabilities [clips, labels]."""
    encodings = engine.encode_many(clips, SAMPLE_RATE, batch_size=len(clips))
    return np.array([list(encoding.utterance().scores.values()) for encoding in encodings])


def _table(runs: dict[str, Run], settings: ThroughputSettings, progress: Progress) -> Table:
    table = Table(
        "Throughput, by how many clips are encoded together",
        [Column("audio"), Column("at once"), Column("runner"), Column("batch ms", ".1f", "lower"),
         Column("clips/s", ".1f", "higher"), Column("x real time", ".0f"),
         Column("max Δp", ".2g")],
        note=f"In turns, medians of {settings.rounds} rounds after a warm-up that does not count. "
        f"max Δp: largest difference of a probability to {next(iter(runs))}.",
    )  # fmt: skip
    speech = sample_speech()
    for seconds in settings.seconds:
        for size in settings.sizes:
            progress(f"{size} × {seconds:g} s of audio")
            clips = np.stack([of_length(speech[1_000 * i :], seconds) for i in range(size)])
            tasks = [functools.partial(run, clips) for run in runs.values()]
            answers = [task() for task in tasks]
            taken = interleaved(tasks, settings.rounds)
            for name, times, answer in zip(runs, taken, answers, strict=True):
                median = statistics.median(times)
                table.rows.append(
                    [f"{seconds:g} s", str(size), name, 1000 * median, size / median,
                     size * seconds / median, float(np.abs(answer - answers[0]).max())]
                )  # fmt: skip
    return table


def draw(document: Document) -> bytes:
    """A PNG of the clips a second; raises MissingExtraError without matplotlib."""
    table = document.tables[0]
    groups = list(dict.fromkeys(f"{row[1]} × {row[0]}" for row in table.rows))
    series: dict[str, list[float | None]] = {}
    for row in table.rows:
        series.setdefault(str(row[2]), []).append(float(row[4] or 0))
    return bars(groups, series, "Clips a second, by how many are encoded together", "clips/s")
