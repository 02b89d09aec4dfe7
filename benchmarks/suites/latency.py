"""Latency of one clip: samples in, result out; and of whole processes."""

from __future__ import annotations

import contextlib
import functools
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.engine.audio.types import SAMPLE_RATE, Samples
from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.progress import Progress
from emotion2vec_edge.engine.runtime.hardware import usable_threads
from emotion2vec_edge.engine.settings import PRECISIONS, PrecisionChoice

from ..baselines.settings import Run
from ..instruments.beside import Facts, TimedEngine, other_process, scores_of
from ..instruments.load import check_busy, paused_load
from ..instruments.machine import describe
from ..instruments.process import E2V, run
from ..instruments.timing import in_turns, percentiles, ratio
from ..models import model_line
from ..reporting.charts import bars
from ..reporting.document import Document
from ..reporting.table import Column, Table
from ..speech import of_length, sample_speech
from .runners import RunnerSettings

COLD_SECONDS = 3.0
"""Length of the clip of the cold starts."""
COLD_RUNS = 5
SEED = 0
"""Seed of the varied lengths."""


@dataclass(frozen=True)
class LatencySettings(RunnerSettings):
    """Clips to time."""

    seconds: tuple[float, ...] = (1.0, 3.0, 10.0, 30.0)
    """Lengths of the clips."""
    cold: bool = True
    """True if whole processes are timed too."""
    varied: tuple[tuple[float, float], ...] = ()
    """Shortest and longest of clips whose length is drawn anew in each round."""
    busy: int = 0
    """Processors kept busy by other processes, in turns with a quiet machine; 0 for none."""
    beside: tuple[tuple[str, str], ...] = ()
    """Names of engines in processes of their own, and the command of each: an interpreter and
    options of ``e2v recognize``, which come after those of these settings."""

    def check(self) -> None:
        """Raises OptionError if the options contradict each other or the machine."""
        super().check()
        check_busy(self.busy)
        names = [*PRECISIONS, *self.baselines, *(name for name, _ in self.beside)]
        for name, _ in self.beside:
            if names.count(name) > 1:
                raise OptionError(f"--beside {name}: another runner has this name; give a new one")
        for shortest, longest in self.varied:
            if shortest >= longest:
                raise OptionError(
                    f"--varied {shortest:g} {longest:g}: give the shortest length, then a longer "
                    "one"
                )

    def clips(self, speech: Samples) -> Iterator[tuple[str, list[Samples]]]:
        """The length as text, and the clip of each round: first that of the warm-up."""
        for seconds in self.seconds:
            yield f"{seconds:g} s", [of_length(speech, seconds)] * (self.rounds + 1)
        rng = np.random.default_rng(SEED)
        for shortest, longest in self.varied:
            lengths = rng.uniform(shortest, longest, self.rounds + 1)
            yield f"{shortest:g} to {longest:g} s", [of_length(speech, x) for x in lengths]


def measure(settings: LatencySettings, progress: Progress) -> Document:
    """Time every variant and baseline.

    Args:
        settings: runners and clips.
        progress: receives the name of each step.

    Raises:
        OptionError: baselines without a checkpoint; a variant that the bundle does not have.
        ModelError, ProviderError: the model cannot run.
        MissingExtraError: a baseline is not installed.
    """
    settings.check()
    machine = describe()
    speech = sample_speech()
    clip = of_length(speech, COLD_SECONDS)
    with contextlib.ExitStack() as opened:
        recognizers: dict[PrecisionChoice, Recognizer] = {}
        engines: dict[str, TimedEngine] = {}
        for precision in settings.variant_names():
            recognizer, facts = Facts.of(functools.partial(settings.load, precision), clip)
            recognizers[precision] = recognizer
            chosen = ("--precision", precision, "--provider", recognizer.provider)
            engines[precision] = TimedEngine(
                functools.partial(scores_of, recognizer), facts, E2V,
                (*chosen, *_options(settings, recognizer)),
            )  # fmt: skip
        first, reference = next(iter(recognizers.values())), next(reversed(recognizers))
        for name, command in settings.beside:
            progress(f"starting {name}")
            engines[name] = opened.enter_context(
                other_process(command, _options(settings, first), clip)
            )
        runtimes = {name: engines[name].facts.runtime for name, _ in settings.beside}
        runs: dict[str, Run] = {name: engine.run for name, engine in engines.items()}
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        runs |= settings.build_baselines(first, folder, progress)
        document = Document(
            "latency",
            {
                "seconds": list(settings.seconds),
                "varied": list(map(list, settings.varied)),
                "busy": settings.busy,
                "beside": runtimes,
                **settings.document_settings(recognizers),
            },
            [model_line(first), *(f"{name}: {runtime}" for name, runtime in runtimes.items())],
            machine,
            _warm(runs, reference, speech, settings, progress),
            draw=draw,
        )
    if settings.cold:
        progress("whole processes")
        document.tables.append(_cold(engines, clip))
    return document


def _options(settings: LatencySettings, recognizer: Recognizer) -> tuple[str, ...]:
    """Options of ``e2v recognize`` that all engines share."""
    model = ("--model", settings.model) if settings.model else ()
    return ("--threads", str(recognizer.threads), *model)


def _warm(
    runs: dict[str, Run], reference: str, speech: Samples, settings: LatencySettings,
    progress: Progress,
) -> list[Table]:  # fmt: skip
    """Every length, all runners in turns; a second table if processors are kept busy."""
    table = Table(
        "Latency, samples in, result out",
        [Column("audio"), Column("runner"), Column("p50 ms", ".1f", "lower"),
         Column("p90 ms", ".1f"), Column("p99 ms", ".1f"), Column("x real time", ".1f", "higher"),
         Column(f"times {reference} [quartiles]"), Column("max Δp", ".2g")],
        note=f"In turns, {settings.rounds} rounds after a warm-up that does not count; the times "
        f"{reference} are taken round by round. max Δp: largest difference of a probability to "
        f"{next(iter(runs))}.",
    )  # fmt: skip
    loaded = Table(
        f"Under load: {settings.busy} of {usable_threads()} processors busy",
        [Column("audio"), Column("runner"), Column("quiet p50 ms", ".1f", "lower"),
         Column("busy p50 ms", ".1f", "lower"), Column("busy p90 ms", ".1f"),
         Column("times quiet [quartiles]")],
        note="Quiet and busy rounds in turns, each after a run that does not count; the times "
        "quiet are taken round by round.",
    )  # fmt: skip
    for audio, clips in settings.clips(speech):
        progress(f"{audio} of audio")
        times = _timed(runs, clips, settings.busy)
        durations = np.array([len(clip) for clip in clips[1:]]) / SAMPLE_RATE
        first = times.answers[next(iter(runs))]
        for name, quiet in times.quiet.items():
            p50, p90, p99 = (1000 * value for value in percentiles(quiet))
            far = max(np.abs(a - b).max() for a, b in zip(times.answers[name], first, strict=True))
            table.rows.append(
                [audio, name, p50, p90, p99, float(np.median(durations / quiet)),
                 str(ratio(quiet, times.quiet[reference])), float(far)]
            )  # fmt: skip
        for name, busy in times.busy.items():
            quiet_p50, _, _ = percentiles(times.quiet[name])
            p50, p90, _ = percentiles(busy)
            loaded.rows.append(
                [audio, name, 1000 * quiet_p50, 1000 * p50, 1000 * p90,
                 str(ratio(busy, times.quiet[name]))]
            )  # fmt: skip
    return [table, loaded] if settings.busy else [table]


@dataclass(frozen=True)
class _Times:
    """Seconds of each counted round of each runner, and its answers."""

    quiet: dict[str, list[float]]
    busy: dict[str, list[float]]
    answers: dict[str, list[NDArray[np.floating[Any]]]]


def _timed(runs: dict[str, Run], clips: list[Samples], busy: int) -> _Times:
    """Run every runner on every clip, in turns, quiet and with ``busy`` processors busy."""
    answers: dict[str, list[NDArray[np.floating[Any]]]] = {name: [] for name in runs}

    def run_and_keep(name: str, clip: Samples) -> None:
        answers[name].append(runs[name](clip))

    tasks = [functools.partial(run_and_keep, name) for name in runs]
    for task in tasks:
        task(clips[0])  # the first run of a shape plans its memory
    if not busy:
        return _Times(dict(zip(runs, in_turns(tasks, clips), strict=True)), {}, answers)
    with paused_load(busy) as load:
        times = in_turns(tasks, clips, [nullcontext, load])
    quiet, loaded = times[: len(runs)], times[len(runs) :]
    return _Times(
        dict(zip(runs, quiet, strict=True)), dict(zip(runs, loaded, strict=True)), answers
    )


def _cold(engines: Mapping[str, TimedEngine], clip: Samples) -> Table:
    table = Table(
        "Cold start",
        [Column("runner"), Column("load ms", ".0f", "lower"),
         Column("first call ms", ".0f", "lower"), Column("whole process s", ".2f", "lower"),
         Column("peak MiB", ".0f", "lower"), Column("on disk MiB", ".1f", "lower")],
        note=f"Whole process: e2v recognize on a {COLD_SECONDS:g} s file, median of {COLD_RUNS} "
        "with the files in the page cache.",
    )  # fmt: skip
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in engines}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.wav"
        soundfile.write(path, clip, SAMPLE_RATE)
        for _ in range(COLD_RUNS):
            for name, engine in engines.items():
                command = (*engine.command, "recognize", str(path), *engine.options)
                results[name].append(run(*command))
    for name, engine in engines.items():
        seconds, peaks = zip(*results[name], strict=True)
        facts = engine.facts
        table.rows.append(
            [name, 1000 * facts.load, 1000 * facts.first_call, statistics.median(seconds),
             max(peaks), facts.on_disk / 2**20]
        )  # fmt: skip
    return table


def draw(document: Document) -> bytes:
    """A PNG of the time for one second of audio; raises MissingExtraError without matplotlib."""
    table = document.table("Latency")
    lengths = list(dict.fromkeys(str(row[0]) for row in table.rows))
    series: dict[str, list[float | None]] = {}
    for row in table.rows:
        real_time = float(row[5] or 0)
        series.setdefault(str(row[1]), []).append(1000 / real_time if real_time else None)
    return bars(lengths, series, "Cost of one second of audio, by length of the clip", "ms")
