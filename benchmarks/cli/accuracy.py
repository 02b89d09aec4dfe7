"""``e2v bench accuracy``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from emotion2vec_edge.engine.settings import PrecisionChoice

from .shared import options
from .shared.terminal import run


@click.command()
@click.argument("manifests", nargs=-1, required=True, type=options.EXISTING)
@options.model
@options.variants
@click.option(
    "--split", default="test", show_default=True, help="Split of a CSV; all takes every row."
)
@click.option(
    "--noise-snr",
    multiple=True,
    type=float,
    help="Measure with white noise as well, at this SNR in dB.",
)
@click.option("--gain", multiple=True, type=float, help="Measure with this gain in dB as well.")
@click.option(
    "--codec", multiple=True, help="Measure through this codec as well, such as opus:16k."
)
@click.option(
    "--rate", multiple=True, type=int, help="Measure through this sample rate in Hz as well."
)
@click.option("--most", type=click.IntRange(1), help="Largest number of clips of each corpus.")
@options.output
def accuracy(
    manifests: tuple[Path, ...], model: str | None, variants: tuple[PrecisionChoice, ...],
    split: str, noise_snr: tuple[float, ...], gain: tuple[float, ...], codec: tuple[str, ...],
    rate: tuple[int, ...], most: int | None, output: Path | None,
) -> None:  # fmt: skip
    """Measure a model on labelled speech, clean and degraded.

    MANIFESTS are CSVs with the columns path,label (and split), folders with a folder per label, or
    EmoBox's .jsonl.
    """
    from .. import degradations
    from ..suites.accuracy import AccuracySettings, measure

    degraded = (
        *map(degradations.noise, noise_snr),
        *map(degradations.gain, gain),
        *map(degradations.codec, codec),
        *map(degradations.narrow, rate),
    )
    settings = AccuracySettings(
        manifests, model, variants, None if split == "all" else split, degraded, most
    )
    run(lambda progress: measure(settings, progress), output)
