"""``e2v bench throughput``: clips a second, by how many are encoded together."""

from __future__ import annotations

import functools
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion2vec_edge.engine import Recognizer, example_recordings, load_audio
from emotion2vec_edge.engine.audio.types import SAMPLE_RATE, Samples

from .baselines import Run, RunnerSettings
from .document import Column, Document, Table, bars
from .machine import describe
from .models import model_line, runnable_variants
from .timing import interleaved


@dataclass(frozen=True)
class ThroughputSettings(RunnerSettings):
    """What is timed, and how often."""

    seconds: tuple[float, ...] = (3.0, 10.0)
    sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    """Clips that are encoded together."""


def measure(settings: ThroughputSettings, progress: Callable[[str], None]) -> Document:
    """Time batches of every size; raises as :func:`~.latency.measure`."""
    settings.check()
    machine = describe()
    variants = settings.variants or runnable_variants(settings.model, settings.provider)
    engines = {name: settings.load(name) for name in variants}
    first = next(iter(engines.values()))
    runs: dict[str, Run] = {name: functools.partial(_scores, e) for name, e in engines.items()}
    with tempfile.TemporaryDirectory() as folder:
        runs |= settings.build_peers(first, Path(folder), progress)
        table = _table(runs, settings, progress)
    return Document(
        "throughput",
        {
            "seconds": list(settings.seconds), "sizes": list(settings.sizes),
            "rounds": settings.rounds, "variants": list(engines), "peers": list(settings.peers),
            "provider": first.provider, "threads": first.threads,
        },
        [model_line(first)],
        machine,
        [table],
        draw,
    )  # fmt: skip


def _scores(engine: Recognizer, clips: Samples) -> NDArray[np.floating[Any]]:
    """Samples [clips, samples] → probabilities [clips, labels]."""
    encodings = engine.encode_many(clips, SAMPLE_RATE, batch_size=len(clips))
    return np.array([list(encoding.utterance().scores.values()) for encoding in encodings])


def _table(
    runs: dict[str, Run], settings: ThroughputSettings, progress: Callable[[str], None]
) -> Table:
    table = Table(
        "Throughput, by how many clips are encoded together",
        [Column("audio"), Column("at once"), Column("what"), Column("batch ms", ".1f", "lower"),
         Column("clips/s", ".1f", "higher"), Column("x real time", ".0f"),
         Column("max Δp", ".2g")],
        note=f"In turns, medians of {settings.rounds} rounds after a warm-up that does not count. "
        f"max Δp: largest difference of a probability to {next(iter(runs))}.",
    )  # fmt: skip
    speech = np.concatenate([load_audio(path).samples for path in example_recordings()])
    for seconds in settings.seconds:
        for size in settings.sizes:
            progress(f"{size} × {seconds:g} s of audio")
            length = round(seconds * SAMPLE_RATE)
            clips = np.stack([np.resize(speech[1_000 * i :], length) for i in range(size)])
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
    """A PNG; raises MissingExtraError where matplotlib is not installed."""
    table = document.tables[0]
    groups = list(dict.fromkeys(f"{row[1]} × {row[0]}" for row in table.rows))
    series: dict[str, list[float | None]] = {}
    for row in table.rows:
        series.setdefault(str(row[2]), []).append(float(row[4] or 0))
    return bars(groups, series, "Clips a second, by how many are encoded together", "clips/s")
