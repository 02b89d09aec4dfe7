"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import click

from emotion2vec_edge.engine.cli.options import auto_option
from emotion2vec_edge.engine.settings import LEAST_RECORDING, PRECISIONS, PROVIDER_NAMES

from ...choices import BaselineName

FOLDER = click.Path(file_okay=False, path_type=Path)
EXISTING = click.Path(exists=True, path_type=Path)
EXISTING_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
CLIP_SECONDS = click.FloatRange(LEAST_RECORDING, 3600)
"""Length of a clip: from the shortest that the model takes to an hour."""

model = click.option("--model", help="Path or name of a bundle; the default otherwise.")
provider = auto_option(
    "--provider",
    PROVIDER_NAMES,
    "The execution provider; auto takes the first of tensorrt, cuda and cpu that serves.",
)
threads = click.option("--threads", type=int, help="Processors to use; all by default.")
checkpoint = click.option(
    "--checkpoint", type=EXISTING_FOLDER, help="The FunASR folder that the bundle was made from."
)
busy = click.option(
    "--busy",
    type=click.IntRange(0),
    default=0,
    help="Measure also while other processes keep this number of processors busy.",
)
beside = click.option(
    "--beside",
    nargs=2,
    multiple=True,
    metavar="NAME 'PYTHON OPTIONS'",
    help="Also an engine in a process of its own, such as one with another build of ONNX Runtime: "
    "its name in the table, the interpreter of its environment, and options of e2v recognize that "
    "choose model, provider and precision; may be given several times.",
)
recording_seconds = click.option(
    "--seconds",
    type=CLIP_SECONDS,
    default=3.0,
    show_default=True,
    help="Length of each recording.",
)
output = click.option(
    "-o", "--output", type=FOLDER, help="Folder that gets JSON, Markdown and PNG as well."
)
baselines = click.option(
    "--baseline",
    "-p",
    "baselines",
    multiple=True,
    type=click.Choice(get_args(BaselineName)),
    help="Other software to time in turns; may be given several times. Needs --checkpoint.",
)
variants = click.option(
    "--variants",
    "-v",
    multiple=True,
    type=click.Choice(PRECISIONS),
    help="Precisions; may be given several times.",
)


def rounds(default: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option ``--rounds``."""
    return click.option(
        "--rounds",
        type=click.IntRange(1),
        default=default,
        show_default=True,
        help="Runs that count, in turns.",
    )
