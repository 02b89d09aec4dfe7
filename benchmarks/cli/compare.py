"""``e2v bench compare``."""

from __future__ import annotations

from pathlib import Path

import click

DOCUMENT = click.Path(exists=True, dir_okay=False, path_type=Path)


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
