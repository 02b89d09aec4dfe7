"""``e2v bench recordings``."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click

from ..choices import Part
from .shared import options
from .shared.terminal import run


@click.command()
@click.argument("speech", required=False, type=options.EXISTING)
@options.model
@click.option(
    "--part",
    "parts",
    type=click.Choice(get_args(Part)),
    multiple=True,
    default=get_args(Part),
    show_default=True,
    help="Measure only this; may be given several times.",
)
@click.option(
    "--files", type=click.IntRange(1), default=500, show_default=True, help="Clips of the batch."
)
@click.option(
    "--rounds", type=click.IntRange(1), default=3, show_default=True, help="Runs of the batch."
)
@click.option(
    "--live-seconds",
    type=click.FloatRange(2.5),
    default=60.0,
    show_default=True,
    help="Seconds of audio that arrive in real time.",
)
@click.option(
    "--whole-seconds",
    type=click.FloatRange(2.5),
    default=300.0,
    show_default=True,
    help="Length of the recording that is chunked.",
)
@click.option(
    "--kill-rounds",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Attempts to kill a batch.",
)
@options.busy
@options.output
def recordings(
    speech: Path | None, model: str | None, parts: tuple[Part, ...], files: int, rounds: int,
    live_seconds: float, whole_seconds: float, kill_rounds: int, busy: int, output: Path | None,
) -> None:  # fmt: skip
    """Measure long recordings, folders, live audio, and the damage of a kill.

    SPEECH is a folder of recordings; the sample recordings otherwise.
    """
    from ..suites.recordings import RecordingsSettings, measure

    settings = RecordingsSettings(
        parts, files, rounds, live_seconds, whole_seconds, kill_rounds, busy
    )
    run(lambda progress: measure(speech, model, settings, progress), output)
