"""``e2v bench serve``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .shared import options
from .shared.terminal import run

if TYPE_CHECKING:
    from emotion2vec_edge.engine.settings import ProviderChoice


@click.command()
@options.model
@options.provider
@options.threads
@click.option(
    "--clients",
    "-c",
    multiple=True,
    type=click.IntRange(1, 1_000),
    default=(1, 8, 64),
    show_default=True,
    help="Clients that ask at the same time; may be given several times.",
)
@options.recording_seconds
@click.option(
    "--duration",
    type=click.FloatRange(0.1),
    default=10.0,
    show_default=True,
    help="Seconds of each load.",
)
@click.option(
    "--sessions",
    multiple=True,
    type=click.IntRange(1, 1_000),
    default=(1, 16),
    show_default=True,
    help="Live sessions at the same time; may be given several times.",
)
@click.option(
    "--live",
    type=click.FloatRange(3.0),
    default=20.0,
    show_default=True,
    help="Seconds of audio of each live session.",
)
@options.output
def serve(
    model: str | None, provider: ProviderChoice, threads: int | None,
    clients: tuple[int, ...], seconds: float, duration: float, sessions: tuple[int, ...],
    live: float, output: Path | None,
) -> None:  # fmt: skip
    """The service on this machine: requests a second, live windows and memory.

    Beside it stands the plain loop in Python, so that the cost of the service can be seen.
    """
    from ..suites.serving import ServingSettings, measure

    settings = ServingSettings(model, provider, threads, clients, seconds, duration, sessions, live)
    run(lambda progress: measure(settings, progress), output)
