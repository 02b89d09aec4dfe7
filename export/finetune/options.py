"""Options of every verb that trains."""

from __future__ import annotations

import click

batch_seconds_option = click.option(
    "--batch-seconds", type=click.FloatRange(2), help="Seconds of audio in one step."
)

validation_option = click.option(
    "--validation",
    type=click.FloatRange(0.01, 0.5),
    default=0.08,
    show_default=True,
    help="Share of the clips, as whole speakers, that is held out.",
)
