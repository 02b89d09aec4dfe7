"""Latency of one clip: samples in, result out; and of whole processes."""

from __future__ import annotations

import functools
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.engine.audio.types import SAMPLE_RATE, Samples

from ..baselines.settings import Run
from ..instruments.machine import describe
from ..instruments.process import E2V, run
from ..instruments.timing import interleaved, percentiles, ratio
from ..models import model_line
from ..reporting.charts import bars
from ..reporting.document import Document
from ..reporting.table import Column, Table
from ..speech import of_length, sample_speech
from .runners import RunnerSettings

COLD_SECONDS = 3.0
"""Length of the clip of the cold starts."""
COLD_RUNS = 5


@dataclass(frozen=True)
class LatencySettings(RunnerSettings):
    """Clips to time."""

    seconds: tuple[float, ...] = (1.0, 3.0, 10.0, 30.0)
    """Lengths of the clips."""
    cold: bool = True
    """True if whole processes are timed too."""


@dataclass(frozen=True)
class _Start:
    """Seconds of a variant's start within this process."""

    load: float
    first_call: float


def measure(settings: LatencySettings, progress: Callable[[str], None]) -> Document:
    """Time every variant and baseline.

    Args:
        settings: runners and clips.
        progress: called with the name of each step.

    Raises:
        OptionError: baselines without a checkpoint; a variant that the bundle does not have.
        ModelError, ProviderError: the model cannot run.
        MissingExtraError: a baseline is not installed.
    """
    settings.check()
    machine = describe()
    speech = sample_speech()
    starts: dict[str, _Start] = {}
    engines: dict[str, Recognizer] = {}
    for name in settings.variant_names():
        engines[name], starts[name] = _start(settings, name, speech)
    first = next(iter(engines.values()))
    runs: dict[str, Run] = {name: functools.partial(_scores, e) for name, e in engines.items()}
    document = Document(
        "latency",
        {"seconds": list(settings.seconds), **settings.document_settings(engines)},
        [model_line(first)],
        machine,
        draw=draw,
    )
    with tempfile.TemporaryDirectory() as folder:
        runs |= settings.build_baselines(first, Path(folder), progress)
        document.tables = [_warm(runs, next(reversed(engines)), speech, settings, progress)]
    if settings.cold:
        progress("whole processes")
        document.tables.append(_cold(engines, starts, speech, settings))
    return document


def _start(settings: LatencySettings, name: str, speech: Samples) -> tuple[Recognizer, _Start]:
    started = time.perf_counter()
    engine = settings.load(name)
    loaded = time.perf_counter()
    engine.recognize(of_length(speech, COLD_SECONDS), SAMPLE_RATE)
    return engine, _Start(loaded - started, time.perf_counter() - loaded)


def _scores(engine: Recognizer, samples: Samples) -> np.ndarray:
    return np.fromiter(engine.recognize(samples, SAMPLE_RATE).scores.values(), np.float32)


def _warm(
    runs: dict[str, Run], reference: str, speech: Samples, settings: LatencySettings,
    progress: Callable[[str], None],
) -> Table:  # fmt: skip
    """Every length, all runners in turns."""
    table = Table(
        "Latency, samples in, result out",
        [Column("audio"), Column("runner"), Column("p50 ms", ".1f", "lower"),
         Column("p90 ms", ".1f"), Column("p99 ms", ".1f"), Column("x real time", ".1f", "higher"),
         Column(f"times {reference} [quartiles]"), Column("max Δp", ".2g")],
        note=f"In turns, {settings.rounds} rounds after a warm-up that does not count; the times "
        f"{reference} are taken round by round. max Δp: largest difference of a probability to "
        f"{next(iter(runs))}.",
    )  # fmt: skip
    for seconds in settings.seconds:
        progress(f"{seconds:g} s of audio")
        samples = of_length(speech, seconds)
        tasks = [functools.partial(run, samples) for run in runs.values()]
        answers = [run(samples) for run in runs.values()]
        taken = dict(zip(runs, interleaved(tasks, settings.rounds), strict=True))
        for name, answer in zip(runs, answers, strict=True):
            p50, p90, p99 = (1000 * value for value in percentiles(taken[name]))
            table.rows.append(
                [f"{seconds:g} s", name, p50, p90, p99, 1000 * seconds / p50,
                 str(ratio(taken[name], taken[reference])),
                 float(np.abs(answer - answers[0]).max())]
            )  # fmt: skip
    return table


def _cold(
    engines: dict[str, Recognizer], starts: dict[str, _Start], speech: Samples,
    settings: LatencySettings,
) -> Table:  # fmt: skip
    table = Table(
        "Cold start",
        [Column("runner"), Column("load ms", ".0f", "lower"),
         Column("first call ms", ".0f", "lower"), Column("whole process s", ".2f", "lower"),
         Column("peak MiB", ".0f", "lower"), Column("on disk MiB", ".1f", "lower")],
        note=f"Whole process: e2v recognize on a {COLD_SECONDS:g} s file, median of {COLD_RUNS} "
        "with the files in the page cache.",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.wav"
        soundfile.write(path, of_length(speech, COLD_SECONDS), SAMPLE_RATE)
        model = ("--model", settings.model) if settings.model else ()
        commands = [
            (*E2V, "recognize", str(path), "--precision", name, "--provider", engine.provider,
             "--threads", str(engine.threads), *model)
            for name, engine in engines.items()
        ]  # fmt: skip
        results: list[list[tuple[float, float]]] = [[] for _ in commands]
        for _ in range(COLD_RUNS):
            for taken, command in zip(results, commands, strict=True):
                taken.append(run(*command))
    for (name, engine), taken in zip(engines.items(), results, strict=True):
        table.rows.append(
            [name, 1000 * starts[name].load, 1000 * starts[name].first_call,
             statistics.median(seconds for seconds, _ in taken),
             max(peak for _, peak in taken), engine.bundle.variant(name).bytes / 2**20]
        )  # fmt: skip
    return table


def draw(document: Document) -> bytes:
    """A PNG of the time for one second of audio; raises MissingExtraError without matplotlib."""
    table = document.table("Latency")
    lengths = list(dict.fromkeys(str(row[0]) for row in table.rows))
    series: dict[str, list[float | None]] = {}
    for row in table.rows:
        share = float(row[2] or 0) / 1000 / float(str(row[0]).split()[0])
        series.setdefault(str(row[1]), []).append(1000 * share)
    return bars(lengths, series, "Cost of one second of audio, by length of the clip", "ms")
