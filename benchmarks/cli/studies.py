"""``e2v bench embeddings`` and ``e2v bench fusion``."""

from __future__ import annotations

from pathlib import Path

import click

from .shared import options
from .shared.terminal import run

split = click.option(
    "--split", default="test", show_default=True, help="Split of a CSV; all takes every row."
)


@click.command()
@click.argument("manifests", nargs=-1, type=options.EXISTING)
@options.model
@split
@click.option("--speed", is_flag=True, help="Time the exact search among a million embeddings.")
@options.output
def embeddings(
    manifests: tuple[Path, ...], model: str | None, split: str, speed: bool, output: Path | None
) -> None:
    """Compare the spaces of a model: do the neighbours of a clip share its emotion?

    MANIFESTS are CSVs with the columns path,label,speaker. Clips of the same speaker, and in one
    row those of the same corpus, are no neighbours.
    """
    from ..studies.embeddings import EmbeddingSettings, measure

    if not manifests and not speed:
        raise click.UsageError("give labelled speech, or --speed")
    settings = EmbeddingSettings(manifests, model, None if split == "all" else split, speed)
    run(lambda progress: measure(settings, progress), output)


@click.command()
@click.argument("manifests", nargs=-1, required=True, type=options.EXISTING)
@options.model
@split
@options.output
def fusion(manifests: tuple[Path, ...], model: str | None, split: str, output: Path | None) -> None:
    """Compare ways to fuse the scores of speech with those of a simulated face and text.

    MANIFESTS are CSVs with the columns path,label,speaker. The confusions of the simulated senses
    are assumed.
    """
    from ..studies.fusion import measure
    from ..studies.settings import StudySettings

    settings = StudySettings(manifests, model, None if split == "all" else split)
    run(lambda progress: measure(settings, progress), output)
