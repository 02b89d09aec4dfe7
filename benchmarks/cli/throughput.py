"""``e2v bench throughput`` and ``e2v bench scale``: many recordings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

if TYPE_CHECKING:
    from emotion2vec_edge.engine.settings import PrecisionChoice, ProviderChoice

from ..choices import BatchedBaseline
from .shared import options
from .shared.terminal import run


@click.command()
@options.model
@options.variants
@options.provider
@options.threads
@click.option(
    "--seconds",
    "-s",
    multiple=True,
    type=options.CLIP_SECONDS,
    default=(3.0, 10.0),
    show_default=True,
    help="Length of each clip; may be given several times.",
)
@click.option(
    "--batch-size",
    "-b",
    "sizes",
    multiple=True,
    type=click.IntRange(1),
    default=(1, 2, 4, 8, 16, 32),
    show_default=True,
    help="Number of clips encoded together; may be given several times.",
)
@options.rounds(5)
@click.option(
    "--baseline",
    "-p",
    "baselines",
    multiple=True,
    type=click.Choice(get_args(BatchedBaseline)),
    help="Other software to time in turns, on the same device. Needs --checkpoint.",
)
@options.checkpoint
@options.output
def throughput(
    model: str | None, variants: tuple[PrecisionChoice, ...], provider: ProviderChoice,
    threads: int | None, seconds: tuple[float, ...], sizes: tuple[int, ...], rounds: int,
    baselines: tuple[BatchedBaseline, ...], checkpoint: Path | None, output: Path | None,
) -> None:  # fmt: skip
    """Clips a second, by the number of clips encoded together: the gain of batches on a GPU."""
    from ..suites.throughput import ThroughputSettings, measure

    settings = ThroughputSettings(
        model, variants, provider, threads, rounds, baselines, checkpoint, seconds, sizes
    )
    run(lambda progress: measure(settings, progress), output)


@click.command()
@options.model
@click.option(
    "--files",
    type=click.IntRange(2),
    default=400,
    show_default=True,
    help="Number of recordings of each batch.",
)
@options.recording_seconds
@click.option(
    "--workers",
    "-w",
    multiple=True,
    type=click.IntRange(1, 256),
    default=(1, 2),
    show_default=True,
    help="Number of workers, of one thread each; may be given several times.",
)
@options.rounds(3)
@options.output
def scale(
    model: str | None, files: int, seconds: float, workers: tuple[int, ...], rounds: int,
    output: Path | None,
) -> None:  # fmt: skip
    """Batches in processes, through Ray and in Spark: files a second, overhead a file.

    All run on this machine. Needs Ray (extra ray), of which it starts a cluster; Spark is left out
    where it (extra spark) or Java is missing.
    """
    from ..suites.scale import ScaleSettings, measure

    settings = ScaleSettings(model, files, seconds, workers, rounds)
    run(lambda progress: measure(settings, progress), output)
