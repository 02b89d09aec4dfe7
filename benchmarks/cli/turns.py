"""``e2v bench turns``."""

from __future__ import annotations

from pathlib import Path

import click

from .shared import options
from .shared.terminal import run


@click.command()
@click.argument("speech", type=options.EXISTING)
@options.model
@click.option(
    "--clips",
    type=click.IntRange(1),
    default=120,
    show_default=True,
    help="Clips of each corpus, at most.",
)
@click.option(
    "--turns",
    "turns_",
    type=click.IntRange(2),
    default=12,
    show_default=True,
    help="Turns of a conversation of two speakers.",
)
@click.option(
    "--snr",
    type=click.FloatRange(-20, 100),
    default=20.0,
    show_default=True,
    help="Ratio of the speech to the noise, in dB.",
)
@click.option(
    "--neutral",
    type=click.FloatRange(0, 1, min_open=True),
    help="Share of neutral turns, which the corpora are thinned to; all their clips otherwise.",
)
@click.option(
    "--minutes",
    type=click.IntRange(1),
    default=60,
    show_default=True,
    help="Length of the long recording whose memory is compared with 2 minutes.",
)
@options.output
def turns(
    speech: Path, model: str | None, clips: int, turns_: int, snr: float, neutral: float | None,
    minutes: int, output: Path | None,
) -> None:  # fmt: skip
    """Measure turns on conversations that are made of labelled clips.

    SPEECH is a manifest or a folder of labelled speech. Compares turns that are encoded alone with
    windows of one pass, boundaries by voice activity with the true ones, answers with and without
    each speaker's own level, and memory and speed of an hour with those of two minutes.
    """
    from ..suites.turns import TurnsSettings, measure

    settings = TurnsSettings(speech, model, clips, turns_, snr, neutral, minutes)
    run(lambda progress: measure(settings, progress), output)
