"""``e2v batch``: folders and lists of recordings into a folder of results."""

from __future__ import annotations

import contextlib
import io
import sys
import time
from typing import TYPE_CHECKING

import click

from ...errors import E2VError
from ...files import printable
from ...results.writers.formats import SEGMENT_FORMATS
from ...settings import CONFIDENT, MOST_JOBS, TURN_DETECTIONS, DatasetSettings, TurnSettings
from ..options import (
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
from .execution import check_cluster, local_execution, ray_execution
from .telling import follow, tell_summary

if TYPE_CHECKING:
    from ...batch.inputs.input_file import InputFile
    from ...results.writers.formats import SegmentFormat
    from ...settings import (
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
    from ...batch.output.parquet import ParquetTables
    from ...batch.output.prefix import open_output
    from ...batch.run import BatchRun
    from ...batch.settings import BatchSettings

    check_cluster(cluster_settings, jobs)
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
            execution = local_execution(model_settings, settings, jobs, batch_size)
        else:
            on_ray = ray_execution(cluster_settings, model_settings, settings, batch_size, items)
            execution = opened.enter_context(on_ray)
        folder = opened.enter_context(open_output(output))
        for log in (folder.results, folder.failures):
            if log.foreign_lines:
                click.echo(f"e2v: {log.foreign_remark}", err=True)
        batch_run = BatchRun(folder, items, execution.run, confident, tables)
        executor = execution.executor(folder.path)
        try:
            with contextlib.closing(batch_run.outcomes(executor)) as outcomes:
                follow(outcomes, batch_run.progress)
        except (E2VError, KeyboardInterrupt):
            place = printable(output)
            click.echo(f"e2v: what is done is in {place}; the same -o goes on there", err=True)
            raise
    if batch_run.summary is not None:
        tell_summary(batch_run.summary, output)
    return batch_run.progress.exit_code


def _input_files(inputs: tuple[str, ...], settings: DatasetSettings) -> list[InputFile]:
    from ...batch.inputs.discover import collect
    from ...batch.inputs.members import hub_item, with_datasets
    from ...datasets.hub import HubDataset

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
