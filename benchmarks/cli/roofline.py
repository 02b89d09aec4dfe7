"""``e2v bench roofline``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from emotion2vec_edge.engine.settings import PrecisionChoice

from .shared import options
from .shared.terminal import run


@click.command()
@options.model
@click.option("--precision", default="auto", show_default=True, help="Variant of the bundle.")
@click.option(
    "--seconds",
    type=options.CLIP_SECONDS,
    default=10.0,
    show_default=True,
    help="Length of the clip.",
)
@options.threads
@click.option(
    "--openvino", is_flag=True, help="The same products in OpenVINO too (pip install openvino)."
)
@options.output
def roofline(
    model: str | None,
    precision: PrecisionChoice,
    seconds: float,
    threads: int | None,
    openvino: bool,
    output: Path | None,
) -> None:
    """Count the model's multiply-adds, and compare their rate with the machine's best."""
    from ..suites.roofline import RooflineSettings, measure

    settings = RooflineSettings(model, precision, seconds, threads, openvino)
    run(lambda progress: measure(settings, progress), output)
