"""``e2v bench latency``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from emotion2vec_edge.engine.settings import PrecisionChoice, ProviderChoice

from ..choices import BaselineName
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
    default=(1.0, 3.0, 10.0, 30.0),
    show_default=True,
    help="Length of the audio; may be given several times.",
)
@options.rounds(9)
@options.baselines
@options.checkpoint
@click.option(
    "--cold/--no-cold", default=True, show_default=True, help="Time whole processes as well."
)
@click.option(
    "--varied",
    nargs=2,
    type=options.CLIP_SECONDS,
    multiple=True,
    metavar="SHORTEST LONGEST",
    help="Also clips of another length in each round, in seconds; may be given several times.",
)
@options.busy
@options.beside
@options.output
def latency(
    model: str | None, variants: tuple[PrecisionChoice, ...], provider: ProviderChoice,
    threads: int | None, seconds: tuple[float, ...], rounds: int,
    baselines: tuple[BaselineName, ...], checkpoint: Path | None,
    cold: bool, varied: tuple[tuple[float, float], ...], busy: int,
    beside: tuple[tuple[str, str], ...], output: Path | None,
) -> None:  # fmt: skip
    """Time from samples to result: variants of a model, and other software."""
    from ..suites.latency import LatencySettings, measure

    settings = LatencySettings(
        model,
        variants,
        provider,
        threads,
        rounds,
        baselines,
        checkpoint,
        seconds,
        cold,
        varied,
        busy,
        beside,
    )
    run(lambda progress: measure(settings, progress), output)
