"""Batches on one machine and through cluster software: files a second, and its cost a file."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import soundfile

from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.engine.audio.types import SAMPLE_RATE
from emotion2vec_edge.engine.batch.inputs.input_file import InputFile
from emotion2vec_edge.engine.batch.outcome import Executor
from emotion2vec_edge.engine.batch.output.folder import OutputFolder
from emotion2vec_edge.engine.batch.processes import Workers
from emotion2vec_edge.engine.batch.ray.actor import Job
from emotion2vec_edge.engine.batch.ray.cluster import Share, ray_package
from emotion2vec_edge.engine.batch.ray.pool import RayWorkers
from emotion2vec_edge.engine.batch.ray.shipping import ShippedModel
from emotion2vec_edge.engine.batch.rows import FailureRow
from emotion2vec_edge.engine.batch.settings import BatchSettings
from emotion2vec_edge.engine.batch.spark import recognize
from emotion2vec_edge.engine.batch.worker import Worker, Writing
from emotion2vec_edge.engine.errors import ClusterError, E2VError
from emotion2vec_edge.engine.progress import Progress
from emotion2vec_edge.engine.settings import ModelSettings

from ..instruments.machine import describe
from ..models import model_line
from ..reporting.document import Document
from ..reporting.table import Column, Table
from ..speech import of_length, sample_speech

STORE_BYTES = 100 << 20
"""Bytes of Ray's object store; the model of a worker on this machine does not pass through it."""

RUN = "scale"
"""Digest of the run; nothing goes on from it."""


@dataclass(frozen=True)
class ScaleSettings:
    """The batches to time."""

    model: str | None = None
    """Path or name of a bundle; None takes the default."""
    files: int = 400
    """Recordings of each batch."""
    seconds: float = 3.0
    """Length of each recording."""
    workers: tuple[int, ...] = (1, 2)
    """Numbers of workers, of one thread each."""
    rounds: int = 3

    @property
    def model_settings(self) -> ModelSettings:
        """The model of each worker."""
        return ModelSettings(self.model, provider="cpu", threads=1)


class _Times(NamedTuple):
    """The times of one batch."""

    first: float
    """Seconds from the start of its workers to the first result."""
    rate: float
    """Files a second from then on."""


Batch = Callable[[list[InputFile]], Generator[str, None, None]]
"""Works through recordings; gives the name of each when its result is there, or raises E2VError."""

Opening = Callable[[Path], AbstractContextManager[Batch]]
"""Starts the workers of a batch that writes to a folder."""


def measure(settings: ScaleSettings, progress: Progress) -> Document:
    """Time batches in this process, in processes of this machine, in Ray's actors and in Spark.

    Args:
        settings: the batches.
        progress: receives the name of each step.

    Raises:
        MissingExtraError: Ray is not installed.
        ModelError: the model cannot be used.
        ClusterError: Ray cannot be started here.
        E2VError: a recording got no result.
    """
    machine = describe()
    recognizer = Recognizer.load(**asdict(settings.model_settings))
    with tempfile.TemporaryDirectory() as folder, _local_ray(max(settings.workers)):
        items = _recordings(Path(folder), settings)
        table = _table(recognizer, items, settings, progress)
    return Document(
        "scale",
        {**asdict(settings), "workers": list(settings.workers)},
        [model_line(recognizer)],
        machine,
        [table],
    )


@contextlib.contextmanager
def _local_ray(cpus: int) -> Iterator[None]:
    """A Ray cluster of this machine for the block."""
    ray = ray_package()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        ray.init(
            address="local", num_cpus=cpus, object_store_memory=STORE_BYTES,
            include_dashboard=False, log_to_driver=False, logging_level="error",
        )  # fmt: skip
    except Exception as error:  # a plain Exception is what Ray raises
        raise ClusterError(f"Ray cannot be started on this machine: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _recordings(folder: Path, settings: ScaleSettings) -> list[InputFile]:
    speech = sample_speech()
    items = []
    for number in range(settings.files):
        path = folder / f"{number:05}.wav"
        start = 1_000 * number % len(speech)
        soundfile.write(path, of_length(speech[start:], settings.seconds), SAMPLE_RATE, "PCM_16")
        items.append(InputFile(str(path), path.name))
    return items


def _batch(executor: Executor, items: list[InputFile]) -> Generator[str, None, None]:
    with contextlib.closing(executor.work(items)) as outcomes:
        for outcome in outcomes:
            if isinstance(outcome.row, FailureRow):
                raise E2VError(outcome.row.message)
            yield outcome.row.file


@contextlib.contextmanager
def _here(recognizer: Recognizer, folder: Path) -> Iterator[Batch]:
    yield functools.partial(_batch, Worker(recognizer, folder, BatchSettings(), RUN))


@contextlib.contextmanager
def _processes(settings: ScaleSettings, workers: int, folder: Path) -> Iterator[Batch]:
    executor = Workers(workers, settings.model_settings, folder, BatchSettings(), RUN)
    yield functools.partial(_batch, executor)


@contextlib.contextmanager
def _actors(
    recognizer: Recognizer, settings: ScaleSettings, workers: int, folder: Path
) -> Iterator[Batch]:
    shipped = ShippedModel.of(recognizer.bundle)
    job = Job(settings.model_settings, shipped, BatchSettings(), None, None)
    with RayWorkers("auto", recognizer.bundle, job, Share(), workers) as actors:
        yield functools.partial(_batch, Writing(actors, folder))


def _without_spark() -> str | None:
    """Reason for which Spark cannot be started here; None if it can."""
    if importlib.util.find_spec("pyspark") is None:
        return "pyspark is not installed (extra spark)"
    java = Path(os.environ.get("JAVA_HOME", "/")) / "bin" / "java"
    return None if java.exists() or shutil.which("java") else "there is no Java"


@contextlib.contextmanager
def _spark(settings: ScaleSettings, workers: int, _: Path) -> Iterator[Batch]:
    """A session of Spark on this machine, whose rows come back to this process.

    The first recording of each worker is a job of its own, which starts the Python workers; the
    second job has all others.
    """
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    builder = SparkSession.builder.master(f"local[{workers}]").config("spark.ui.enabled", False)
    session = builder.config("spark.ui.showConsoleProgress", False).getOrCreate()
    session.sparkContext.setLogLevel("OFF")

    def batch(items: list[InputFile]) -> Generator[str, None, None]:
        for part in filter(None, (items[:workers], items[workers:])):
            paths = session.createDataFrame([(item.path,) for item in part], "path string")
            for row in recognize(paths, model=settings.model_settings).collect():
                if row.error is not None:
                    raise E2VError(row.message)
                yield row.path

    try:
        yield batch
    finally:
        session.stop()


def _table(
    recognizer: Recognizer, items: list[InputFile], settings: ScaleSettings, progress: Progress
) -> Table:
    table = Table(
        "Batches, by what runs them",
        [Column("runner"), Column("workers"), Column("first result s", ".1f", "lower"),
         Column("files/s", ".1f", "higher"), Column("x real time", ".0f"),
         Column("worker ms a file", ".2f", "lower"), Column("overhead ms", ".2f", "lower")],
        note=f"{settings.files} WAV of {settings.seconds:g} s on this machine, one thread a "
        f"worker, medians of {settings.rounds} rounds in turns. First result: with the start of "
        "the workers; files/s: from it to the last. Overhead: time of a worker for a file, less "
        "that of one process. Other processes of Ray and Spark share the machine with the workers. "
        "Spark starts Java in the first round, writes no files, and gives the results of a job "
        "together, at its end.",
    )  # fmt: skip
    without_spark = _without_spark()
    if without_spark is not None:
        table.note += f" Spark is left out: {without_spark}."
    openings: dict[tuple[str, int], Opening] = {
        ("this process", 1): functools.partial(_here, recognizer)
    }
    for count in settings.workers:
        if count > 1:
            openings["processes", count] = functools.partial(_processes, settings, count)
        openings["Ray", count] = functools.partial(_actors, recognizer, settings, count)
        if without_spark is None:
            openings["Spark", count] = functools.partial(_spark, settings, count)
    times: dict[tuple[str, int], list[_Times]] = {key: [] for key in openings}
    for number in range(settings.rounds):
        for (name, count), opening in openings.items():
            progress(f"round {number + 1} of {settings.rounds}: {name}, {count} at once")
            times[name, count].append(_timed(opening, items))
    alone = 0.0
    for (name, count), runs in times.items():
        rate = statistics.median(run.rate for run in runs)
        cost = 1_000 * count / rate
        alone = alone or cost
        first = statistics.median(run.first for run in runs)
        table.rows.append(
            [name, str(count), first, rate, rate * settings.seconds, cost, cost - alone]
        )
    return table


def _timed(opening: Opening, items: list[InputFile]) -> _Times:
    with tempfile.TemporaryDirectory() as path, OutputFolder(Path(path) / "out") as folder:
        started = time.perf_counter()
        moments: list[float] = []
        with (
            opening(folder.path) as batch,
            contextlib.closing(batch(items)) as done,
        ):
            moments.extend(time.perf_counter() for _ in done)
    return _Times(moments[0] - started, (len(moments) - 1) / (moments[-1] - moments[0]))
