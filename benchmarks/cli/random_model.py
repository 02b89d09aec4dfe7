"""``e2v bench random-model``."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click

from emotion2vec_edge.engine.cli.progress import TerminalProgress

from ..choices import Shape


@click.command("random-model")
@click.option(
    "--shape",
    type=click.Choice(get_args(Shape)),
    default="plus_large",
    show_default=True,
    help="Size.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder of the bundle."
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    help="Folder that keeps the checkpoint.",
)
@click.option("--int8/--no-int8", default=True, show_default=True, help="Add the INT8 variant.")
def random_model(shape: Shape, output: Path, checkpoint: Path | None, int8: bool) -> None:
    """Make a bundle of the real size with random weights: for speed, never for accuracy."""
    from emotion2vec_edge.engine.errors import MissingExtraError

    try:
        from ..random_models import make_random_bundle

        with TerminalProgress() as progress:
            make_random_bundle(shape, output, checkpoint, progress)
    except MissingExtraError:
        raise
    except ImportError as error:
        raise MissingExtraError(
            f"a model is made with torch ({error}): pip install 'emotion2vec-edge[cpu,export]'"
        ) from None
    if int8:
        _quantize(output)
    click.echo(f"\n{output}: {shape} with random weights")


def _quantize(folder: Path) -> None:
    """Run ``e2v quantize`` with its own progress and refusals."""
    from emotion2vec_edge.engine.cli import cli

    code = cli.main(
        ["quantize", str(folder), "--precision", "int8"], prog_name="e2v", standalone_mode=False
    )
    if code:
        raise click.exceptions.Exit(code)
