"""``e2v triton``: a bundle becomes a model repository of Triton."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click

from emotion2vec_edge.engine.cli.options import offline_option
from emotion2vec_edge.engine.files import printable
from emotion2vec_edge.engine.settings import PRECISIONS, Precision

from .config import Device


@click.command()
@click.argument("model", required=False)
@click.option(
    "-o",
    "--output",
    "repository",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder of the model repository; one that exists gets more models.",
)
@click.option(
    "--device",
    type=click.Choice(get_args(Device)),
    default="cpu",
    show_default=True,
    help="Where the two large graphs run.",
)
@click.option("--name", help="Name of the model on the server; the bundle's otherwise.")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    help="Variant; otherwise int8 or fp32 on a CPU, fp16 or fp32 on a GPU.",
)
@click.option(
    "--instances",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Copies of each graph that run at the same time.",
)
@click.option(
    "--max-batch",
    type=click.IntRange(1, 256),
    help="Requests of one shape that are run together; 1 on a CPU and 16 on a GPU by default.",
)
@click.option(
    "--delay",
    type=click.IntRange(0, 1_000_000),
    default=2_000,
    show_default=True,
    metavar="MICROSECONDS",
    help="Time that a request waits for others of its shape.",
)
@offline_option
def triton(
    model: str | None, repository: Path, device: Device, name: str | None,
    precision: Precision | None, instances: int, max_batch: int | None, delay: int, offline: bool,
) -> None:  # fmt: skip
    """Write MODEL, the path or name of a bundle, as a model repository of Triton.

    The repository has an ensemble of four ONNX models: waveforms and their lengths in, scores and
    embeddings out. Its graphs are compared with the engine on speech before they are written.
    """
    from emotion2vec_edge.engine.bundle.locate import open_bundle
    from emotion2vec_edge.engine.errors import MissingExtraError

    try:
        import onnx  # noqa: F401 - asked for here, where the way out can be said
    except ImportError:
        raise MissingExtraError(
            "e2v triton needs onnx: pip install 'emotion2vec-edge[cpu,triton]'"
        ) from None
    from .models import RepositorySettings
    from .repository import write_repository

    settings = RepositorySettings(device, name, precision, instances, max_batch, delay)
    written = write_repository(open_bundle(model, offline=offline), repository, settings)
    click.echo(
        f"{printable(str(repository))}: {written.name}, {written.precision} on the {device}; "
        f"differs from the engine by at most {written.difference:.1e}"
    )
