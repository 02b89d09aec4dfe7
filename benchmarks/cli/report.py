"""``e2v bench report`` and ``e2v bench compare``: the results of other commands."""

from __future__ import annotations

from pathlib import Path

import click

from emotion2vec_edge.engine.cli.progress import TerminalProgress

from ..choices import BaselineName
from .shared import options
from .shared.terminal import make_folder

DOCUMENT = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option(
    "--speech",
    "manifests",
    multiple=True,
    type=options.EXISTING,
    help="Labelled speech, for the accuracy; may be given several times.",
)
@click.option(
    "--large",
    type=options.EXISTING_FOLDER,
    help="A second bundle to time, such as one of e2v bench random-model.",
)
@click.option(
    "--large-checkpoint",
    type=options.EXISTING_FOLDER,
    help="The checkpoint of the second bundle, for the baselines.",
)
@click.option(
    "--checkpoint",
    type=options.EXISTING_FOLDER,
    help="The checkpoint of the default model, for the baselines.",
)
@options.baselines
@options.beside
@options.rounds(7)
@click.option("--most", type=click.IntRange(1), help="Largest number of clips of each corpus.")
@click.option("-o", "--output", type=options.FOLDER, required=True, help="Folder of the page.")
def report(
    manifests: tuple[Path, ...], large: Path | None, large_checkpoint: Path | None,
    checkpoint: Path | None, baselines: tuple[BaselineName, ...],
    beside: tuple[tuple[str, str], ...], rounds: int, most: int | None, output: Path,
) -> None:  # fmt: skip
    """Run a standard set and write one page: README.md, report.html, tables and pictures.

    Parts that the folder already has, from a run that was stopped, are not measured again.
    """
    from ..suites.standard import StandardSettings, measure

    settings = StandardSettings(
        manifests, checkpoint, large, large_checkpoint, baselines, beside, rounds, most
    )
    make_folder(output)
    with TerminalProgress() as progress:
        measure(settings, output, progress)
    click.echo(f"written to {output}")


@click.command()
@click.argument("old", type=DOCUMENT)
@click.argument("new", type=DOCUMENT)
@click.option(
    "--threshold",
    type=click.FloatRange(1.0),
    default=1.1,
    show_default=True,
    help="Largest allowed ratio of the worse value to the better.",
)
def compare(old: Path, new: Path, threshold: float) -> int:
    """Compare two JSON files of one benchmark; exit code 1 if NEW is worse."""
    from ..reporting.compare import compare as compare_documents

    found = compare_documents(old, new, threshold)
    click.echo(found.table.text())
    for line in found.worse:
        click.echo(f"e2v: worse: {line}", err=True)
    return 1 if found.worse else 0
