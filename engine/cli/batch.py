"""``e2v batch``: folders and lists of recordings into a folder of results."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from ..display import duration, share_bar
from ..errors import E2VError, OptionError
from ..files import printable
from ..results.writers.formats import SEGMENT_FORMATS
from ..settings import CONFIDENT, MOST_JOBS, TURN_DETECTIONS, DatasetSettings, TurnSettings
from .options import (
    baseline_option,
    check_segments,
    cluster_options,
    grouped,
    intake_options,
    model_options,
    report_options,
    segment_options,
    speech_only_option,
)
from .progress import TerminalProgress, shown_seconds

if TYPE_CHECKING:
    from ..batch.inputs.input_file import InputFile
    from ..batch.outcome import Executor, Outcome
    from ..batch.output.summary import RunProgress, Summary
    from ..batch.settings import BatchSettings
    from ..recognizer import Recognizer
    from ..results.writers.formats import SegmentFormat
    from ..settings import (
        ClusterSettings,
        IntakeSettings,
        ModelSettings,
        ReportSettings,
        SegmentSettings,
        TurnDetection,
    )


dataset_options = grouped(
    "dataset_settings",
    DatasetSettings,
    click.option(
        "--dataset",
        help="Dataset of Hugging Face's in place of INPUTS, as owner/name on the hub or a folder; "
        "streamed.",
    ),
    click.option("--split", default="train", show_default=True, help="Split of the dataset."),
    click.option("--config", help="Configuration of the dataset, if it has several."),
    click.option("--revision", help="Branch, tag or commit of the dataset on the hub."),
    click.option(
        "--column",
        help="Column of recordings, or of their paths, in Parquet files and in the dataset; found "
        "by default.",
    ),
)


@click.command()
@click.argument("inputs", nargs=-1)
@dataset_options
@click.option(
    "-o",
    "--output",
    help="Folder of the results, or the URL of a prefix; outputs/batch_DATE_TIME by default. Given "
    "again, a run goes on.",
)
@click.option(
    "--turns",
    type=click.Choice(TURN_DETECTIONS),
    help="The emotion of each turn, encoded alone. vad: segments of speech; channels: those of "
    "each channel, one speaker each.",
)
@baseline_option
@speech_only_option
@segment_options
@report_options
@click.option(
    "--format",
    "formats",
    type=click.Choice(SEGMENT_FORMATS),
    multiple=True,
    help="Format of the timeline, or of the turns, written beside the JSON; may be given several "
    "times.",
)
@click.option(
    "--embeddings",
    is_flag=True,
    help="Save the embedding of each recording, or those of its turns, as .npy.",
)
@click.option(
    "--parquet",
    is_flag=True,
    help="Write the tables as Parquet too: results.parquet, and turns.parquet with --turns. Needs "
    "pyarrow (extra parquet).",
)
@click.option(
    "--confident",
    type=click.FloatRange(0, 1),
    default=CONFIDENT,
    show_default=True,
    help="Confidence from which the summary counts a result as confident.",
)
@click.option(
    "--jobs",
    default="1",
    show_default=True,
    metavar="N|auto",
    callback=lambda _context, _parameter, text: _jobs(text),
    help="Number of worker processes, which share the processors, up to 256; each has the model "
    "in memory. auto: one for each processor, or as many as memory allows.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1, 256),
    help="Number of recordings that a GPU encodes together; 16 by default. The CPU encodes one "
    "after the other, which is as fast.",
)
@cluster_options
@intake_options
@model_options
def batch(
    inputs: tuple[str, ...], dataset_settings: DatasetSettings, output: str | None,
    turns: TurnDetection | None, baseline: bool, speech_only: bool,
    segment_settings: SegmentSettings,
    report_settings: ReportSettings, formats: tuple[SegmentFormat, ...], embeddings: bool,
    parquet: bool, confident: float, jobs: int | None, batch_size: int | None,
    cluster_settings: ClusterSettings, intake_settings: IntakeSettings,
    model_settings: ModelSettings,
) -> int:  # fmt: skip
    """Recognize all recordings in INPUTS.

    INPUTS are folders, glob patterns, lists of paths (.txt, .lst, .list), Kaldi's wav.scp,
    recordings, WebDataset's .tar shards, .parquet files with a column of audio, or -, a list on
    stdin; also by URL, such as s3://bucket/prefix. The same command with the same -o goes on where
    an earlier run stopped: what is done is skipped, what failed is tried again.
    """
    from ..batch.output.parquet import ParquetTables
    from ..batch.output.prefix import open_output
    from ..batch.run import BatchRun
    from ..batch.settings import BatchSettings

    _check_cluster(cluster_settings, jobs)
    check_segments(segment_settings, detected=speech_only or turns is not None)
    settings = BatchSettings(
        intake_settings, report_settings, formats, embeddings,
        _turn_settings(turns, segment_settings, baseline, batch_size),
        segment_settings if speech_only else None,
    )  # fmt: skip
    tables = ParquetTables(embeddings=embeddings) if parquet else None
    items = _input_files(inputs, dataset_settings)
    output = output or time.strftime("outputs/batch_%Y%m%d_%H%M%S")
    with contextlib.ExitStack() as opened:
        if cluster_settings.on is None:
            execution = _local_execution(model_settings, settings, jobs, batch_size)
        else:
            on_ray = _ray_execution(cluster_settings, model_settings, settings, batch_size, items)
            execution = opened.enter_context(on_ray)
        folder = opened.enter_context(open_output(output))
        for log in (folder.results, folder.failures):
            if log.foreign_lines:
                click.echo(f"e2v: {log.foreign_remark}", err=True)
        batch_run = BatchRun(folder, items, execution.run, confident, tables)
        executor = execution.executor(folder.path)
        try:
            with contextlib.closing(batch_run.outcomes(executor)) as outcomes:
                _follow(outcomes, batch_run.progress)
        except (E2VError, KeyboardInterrupt):
            place = printable(output)
            click.echo(f"e2v: what is done is in {place}; the same -o goes on there", err=True)
            raise
    if batch_run.summary is not None:
        _tell(batch_run.summary, output)
    return batch_run.progress.exit_code


class _Execution(NamedTuple):
    """The way in which a batch is executed."""

    run: str
    """Digest of the model and the settings."""
    executor: Callable[[Path], Executor]
    """Makes the executor that writes to a folder."""


def _local_execution(
    model_settings: ModelSettings, settings: BatchSettings, jobs: int | None,
    batch_size: int | None,
) -> _Execution:  # fmt: skip
    """One process on this machine, or several; ``jobs`` None for as many as it is good for."""
    from ..batch.processes import Division, Workers, divide_for
    from ..batch.run import run_digest
    from ..batch.worker import Worker
    from ..recognizer import Recognizer
    from ..runtime.hardware import checked_threads

    recognizer = Recognizer.load(**dataclasses.asdict(model_settings))
    processors = checked_threads(model_settings.threads)
    if jobs is None:
        division = divide_for(recognizer, processors)
        click.echo(f"e2v: --jobs {division.jobs}, threads of each: {division.threads}", err=True)
    else:
        division = Division(jobs, max(1, processors // jobs))
    _check_batch_size(batch_size, recognizer, division.jobs)
    run = run_digest(recognizer, settings)
    if division.jobs == 1:
        return _Execution(run, lambda path: Worker(recognizer, path, settings, run, batch_size))
    # By its folder: a branch of a hub could move between two processes.
    place = str(recognizer.bundle.folder)
    shared = dataclasses.replace(model_settings, model=place, threads=division.threads)
    return _Execution(run, lambda path: Workers(division.jobs, shared, path, settings, run))


@contextlib.contextmanager
def _ray_execution(
    cluster: ClusterSettings, model_settings: ModelSettings, settings: BatchSettings,
    batch_size: int | None, items: Sequence[InputFile],
) -> Iterator[_Execution]:  # fmt: skip
    """Workers on a Ray cluster, for the block."""
    from ..batch.ray.actor import Job, probe_of
    from ..batch.ray.cluster import Share, parse_address
    from ..batch.ray.pool import RayWorkers
    from ..batch.ray.shipping import ShippedModel
    from ..batch.worker import Writing
    from ..bundle.locate import open_bundle

    address = parse_address(cluster.on or "")
    bundle = open_bundle(model_settings.model, offline=model_settings.offline)
    cpus = 1 if model_settings.threads is None else model_settings.threads
    job = Job(
        dataclasses.replace(model_settings, threads=cpus),
        ShippedModel.of(bundle), settings, batch_size, probe_of(items),
    )  # fmt: skip
    share = Share(cpus, cluster.gpus_per_worker)
    with contextlib.ExitStack() as opened:
        with shown_seconds("starting the workers"):
            workers = RayWorkers(address, bundle, job, share, cluster.workers)
        opened.enter_context(workers)
        yield _Execution(workers.run, lambda path: Writing(workers, path))


def _input_files(inputs: tuple[str, ...], settings: DatasetSettings) -> list[InputFile]:
    from ..batch.inputs.discover import collect
    from ..batch.inputs.members import hub_item, with_datasets
    from ..datasets.hub import HubDataset

    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # names of files may be any bytes
    items = with_datasets(collect(inputs, sys.stdin, datasets=True), settings.column)
    if settings.dataset is not None:
        dataset = HubDataset(
            settings.dataset, settings.split, settings.config, settings.revision, settings.column
        )
        dataset.check()
        items.append(hub_item(dataset))
    if not items:
        raise click.UsageError("give INPUTS or --dataset")
    return items


def _jobs(text: str) -> int | None:
    """Number of processes; None for ``auto``."""
    if text == "auto":
        return None
    if not text.isdecimal() or not 1 <= int(text) <= MOST_JOBS:
        raise click.BadParameter(f"{text!r}; give 1 to {MOST_JOBS}, or auto")
    return int(text)


def _check_cluster(cluster: ClusterSettings, jobs: int | None) -> None:
    if cluster.on is None and (cluster.workers is not None or cluster.gpus_per_worker):
        raise click.UsageError(
            "--workers and --gpus-per-worker are of a cluster; give --on with them, or --jobs"
        )
    if cluster.on is not None and jobs != 1:
        raise click.UsageError("--jobs is of this machine; with --on give --workers")


def _turn_settings(
    turns: TurnDetection | None, segments: SegmentSettings, baseline: bool, batch_size: int | None
) -> TurnSettings | None:
    if turns is None:
        if baseline:
            raise click.UsageError("--baseline is of speakers; give --turns channels with it")
        return None
    if batch_size is not None:
        raise click.UsageError("--batch-size is of whole recordings, and --turns of their turns")
    return TurnSettings(turns, segments, baseline)


def _check_batch_size(batch_size: int | None, recognizer: Recognizer, jobs: int) -> None:
    one_by_one = jobs > 1 or recognizer.encoder.batch_size == 1
    if one_by_one and batch_size is not None and batch_size > 1:
        raise OptionError(
            f"--batch-size {batch_size} is for one process on a GPU; on {recognizer.provider} with "
            f"--jobs {jobs} recordings are encoded one by one, which is as fast"
        )


def _follow(outcomes: Iterator[Outcome], progress: RunProgress) -> None:
    """Show a bar on a terminal, and each failure as it comes."""
    from ..batch.rows import FailureRow

    def speed() -> str:
        times = progress.audio_seconds / max(progress.seconds, 1e-9)
        files = f"{(progress.done + progress.failed) / max(progress.seconds, 1e-9):.1f} files/s"
        failures = f", {progress.failed} failed" if progress.failed else ""
        return f"{files}, {times:.0f} x real time{failures}"

    with TerminalProgress(speed) as bar:
        for number, outcome in enumerate(outcomes, 1):
            if progress.complete:
                bar("recordings", number, progress.total)
            else:
                bar(f"{number} recordings")
            if isinstance(outcome.row, FailureRow):
                bar.say(f"e2v: {outcome.row.message}")


def _tell(summary: Summary, output: str) -> None:
    run = summary.this_run
    line = f"{printable(output)}: {summary.recognized} recognized, {summary.failures} failed"
    if summary.turns is not None:
        line += f"; {summary.turns} turn{'' if summary.turns == 1 else 's'}"
    if run.skipped:
        line += f" ({run.skipped} done before)"
    if run.audio_seconds:
        speed = run.audio_seconds / max(run.seconds, 1e-9)
        line += f"; {duration(run.audio_seconds)} of audio in {duration(run.seconds)}, "
        line += f"{speed:.0f} x real time"
    click.echo(line)
    for label, count in summary.labels.items():
        share = count / sum(summary.labels.values())
        click.echo(f"  {label:<10} {count:>7} {share:>6.1%}  {share_bar(share, 30, sys.stdout)}")
    if summary.mean_confidence is not None:
        click.echo(
            f"  mean confidence {summary.mean_confidence:.2f}; {summary.confident} from "
            f"{summary.confident_from:g} on"
        )
