"""Progress and results on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from ..reporting.document import Document

T = TypeVar("T")


def show_step(text: str) -> None:
    """Show the present step on stderr, if it is a terminal."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{text} …", err=True, nl=False)


def with_bar(clips: Sequence[T]) -> Iterator[T]:
    """The clips; shows a bar on stderr, if it is a terminal."""
    if not sys.stderr.isatty():
        yield from clips
        return
    with click.progressbar(clips, label=f"{len(clips)} clips", file=sys.stderr) as bar:
        yield from bar


def finish(document: Document, output: Path | None) -> None:
    """Print a document, and write its files if there is a folder for them."""
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", err=True, nl=False)
    click.echo(document.text())
    if output is not None:
        document.write(output)
        click.echo(f"written to {output}", err=True)
