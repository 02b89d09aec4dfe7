"""A measurement with its progress, and its result on the terminal and in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from emotion2vec_edge.engine.cli.progress import TerminalProgress
from emotion2vec_edge.engine.files import reported
from emotion2vec_edge.engine.progress import Progress

if TYPE_CHECKING:
    from ...reporting.document import Document


def run(measure: Callable[[Progress], Document], output: Path | None) -> None:
    """Measure, print the document, and write its files if there is a folder for them.

    Raises:
        OutputError: the files cannot be written; if the folder cannot be made, before measuring.
    """
    if output is not None:
        make_folder(output)
    with TerminalProgress() as progress:
        document = measure(progress)
    click.echo(document.text())
    if output is not None:
        document.write(output)
        click.echo(f"written to {output}", err=True)


def make_folder(output: Path) -> None:
    """Make the folder of the files; raises OutputError."""
    with reported(output):
        output.mkdir(parents=True, exist_ok=True)
