"""``e2v bench windows``."""

from __future__ import annotations

from pathlib import Path

import click

from .shared import options
from .shared.terminal import run


@click.command()
@click.argument("speech", required=False, type=options.EXISTING)
@options.model
@click.option(
    "--seconds",
    type=options.CLIP_SECONDS,
    default=10.0,
    show_default=True,
    help="Length of each clip.",
)
@click.option(
    "--clips", type=click.IntRange(1), default=10, show_default=True, help="Clips to compare."
)
@options.rounds(9)
@options.output
def windows(
    speech: Path | None, model: str | None, seconds: float, clips: int, rounds: int,
    output: Path | None,
) -> None:  # fmt: skip
    """Time and compare timelines: one shared pass against each window alone.

    SPEECH is a recording or a folder of them, joined; the sample recordings otherwise.
    """
    from ..suites.windows import clips_of, measure

    pieces = clips_of(speech, seconds, clips)
    run(lambda progress: measure(model, pieces, rounds, progress), output)
