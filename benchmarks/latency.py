"""``e2v bench latency``: samples in, result out; variants of a model and its peers, in turns."""

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

from emotion2vec_edge.engine import Recognizer, example_recordings, load_audio
from emotion2vec_edge.engine.audio.types import SAMPLE_RATE, Samples

from .baselines import Run, RunnerSettings
from .document import Column, Document, Table, bars
from .machine import describe
from .models import model_line, runnable_variants
from .process import E2V, run
from .timing import interleaved, percentiles, ratio

COLD_SECONDS = 3.0
COLD_RUNS = 5


@dataclass(frozen=True)
class LatencySettings(RunnerSettings):
    """What is timed, and how often."""

    seconds: tuple[float, ...] = (1.0, 3.0, 10.0, 30.0)
    cold: bool = True
    """Whether whole processes are timed too."""


def measure(settings: LatencySettings, progress: Callable[[str], None]) -> Document:
    """Time every variant and peer.

    Raises:
        OptionError: peers without their checkpoint; a variant that the bundle does not have.
        ModelError, ProviderError: the model cannot run.
        MissingExtraError: a peer is not installed.
    """
    settings.check()
    machine = describe()
    loads: dict[str, tuple[float, float]] = {}
    engines: dict[str, Recognizer] = {}
    speech = np.concatenate([load_audio(path).samples for path in example_recordings()])
    for name in settings.variants or runnable_variants(settings.model, settings.provider):
        started = time.perf_counter()
        engines[name] = settings.load(name)
        loaded = time.perf_counter()
        engines[name].recognize(np.resize(speech, round(COLD_SECONDS * SAMPLE_RATE)), SAMPLE_RATE)
        loads[name] = (loaded - started, time.perf_counter() - loaded)
    first = next(iter(engines.values()))
    runs: dict[str, Run] = {name: functools.partial(_scores, e) for name, e in engines.items()}
    with tempfile.TemporaryDirectory() as folder:
        runs |= settings.build_peers(first, Path(folder), progress)
        document = Document(
            "latency",
            {
                "seconds": list(settings.seconds), "rounds": settings.rounds,
                "variants": list(engines), "peers": list(settings.peers),
                "provider": first.provider, "threads": first.threads,
            },
            [model_line(first)],
            machine,
            draw=draw,
        )  # fmt: skip
        document.tables = [_warm(runs, next(reversed(engines)), speech, settings, progress)]
    if settings.cold:
        progress("whole processes")
        document.tables.append(_cold(engines, loads, speech, settings))
    return document


def _scores(engine: Recognizer, samples: Samples) -> np.ndarray:
    return np.fromiter(engine.recognize(samples, SAMPLE_RATE).scores.values(), np.float32)


def _warm(
    runs: dict[str, Run], base: str, speech: Samples, settings: LatencySettings,
    progress: Callable[[str], None],
) -> Table:  # fmt: skip
    """Every length, all runners in turns."""
    table = Table(
        "Latency, samples in, result out",
        [Column("audio"), Column("what"), Column("p50 ms", ".1f", "lower"),
         Column("p90 ms", ".1f"), Column("p99 ms", ".1f"), Column("x real time", ".1f", "higher"),
         Column(f"times {base} [quartiles]"), Column("max Δp", ".2g")],
        note=f"In turns, {settings.rounds} rounds after a warm-up that does not count; the times "
        f"{base} are taken round by round. max Δp: largest difference of a probability to "
        f"{next(iter(runs))}.",
    )  # fmt: skip
    for seconds in settings.seconds:
        progress(f"{seconds:g} s of audio")
        samples = np.resize(speech, round(seconds * SAMPLE_RATE))
        tasks = [functools.partial(each, samples) for each in runs.values()]
        answers = [each(samples) for each in runs.values()]
        taken = dict(zip(runs, interleaved(tasks, settings.rounds), strict=True))
        for name, answer in zip(runs, answers, strict=True):
            p50, p90, p99 = (1000 * value for value in percentiles(taken[name]))
            table.rows.append(
                [f"{seconds:g} s", name, p50, p90, p99, 1000 * seconds / p50,
                 str(ratio(taken[name], taken[base])), float(np.abs(answer - answers[0]).max())]
            )  # fmt: skip
    return table


def _cold(
    engines: dict[str, Recognizer], loads: dict[str, tuple[float, float]], speech: Samples,
    settings: LatencySettings,
) -> Table:  # fmt: skip
    table = Table(
        "From nothing",
        [Column("what"), Column("load ms", ".0f", "lower"), Column("first call ms", ".0f", "lower"),
         Column("whole process s", ".2f", "lower"), Column("peak MiB", ".0f", "lower"),
         Column("on disk MiB", ".1f", "lower")],
        note=f"Whole process: e2v recognize on a {COLD_SECONDS:g} s file, median of {COLD_RUNS} "
        "with the files in the page cache.",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.wav"
        samples = np.resize(speech, round(COLD_SECONDS * SAMPLE_RATE))
        soundfile.write(path, samples, SAMPLE_RATE)
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
        load, call = loads[name]
        table.rows.append(
            [name, 1000 * load, 1000 * call, statistics.median(t[0] for t in taken),
             max(t[1] for t in taken), engine.bundle.variant(name).bytes / 2**20]
        )  # fmt: skip
    return table


def draw(document: Document) -> bytes:
    """A PNG; raises MissingExtraError where matplotlib is not installed."""
    table = document.table("Latency")
    lengths = list(dict.fromkeys(str(row[0]) for row in table.rows))
    series: dict[str, list[float | None]] = {}
    for row in table.rows:
        share = float(row[2] or 0) / 1000 / float(str(row[0]).split()[0])
        series.setdefault(str(row[1]), []).append(1000 * share)
    return bars(lengths, series, "Cost of one second of audio, by length of the clip", "ms")
