"""``e2v export``: a FunASR checkpoint becomes a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from emotion2vec_edge.engine.cli.options import offline_option
from emotion2vec_edge.engine.display import size
from emotion2vec_edge.engine.files import printable

from .hub import Hub, hub_option


@click.command()
@click.argument("source")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder of the new bundle; with --single-file, an .onnx file.",
)
@hub_option
@click.option("--revision", help="Commit, branch or tag on the hub; the newest otherwise.")
@offline_option
@click.option(
    "--single-file",
    is_flag=True,
    help="One merged graph (waveform in, probabilities out) for other servers.",
)
@click.option(
    "--precision",
    type=click.Choice(["int8", "fp16"]),
    multiple=True,
    help="Also add this variant, as e2v quantize does; may be given twice.",
)
@click.option("--name", help="Name of the model; the checkpoint's otherwise.")
@click.option("--licence", help="Licence of the weights, recorded in the bundle.")
@click.option("--overwrite", is_flag=True, help="Replace a bundle that exists.")
def export(
    source: str, output: Path, hub: Hub, revision: str | None, offline: bool, single_file: bool,
    precision: tuple[Literal["int8", "fp16"], ...], name: str | None, licence: str | None,
    overwrite: bool,
) -> None:  # fmt: skip
    """Export SOURCE, a FunASR checkpoint folder or a hub id, to ONNX.

    SOURCE is a folder with config.yaml, model.pt and tokens.txt, or an id such as
    iic/emotion2vec_plus_large. ONNX Runtime is compared with torch on real speech before anything
    is written.
    """
    from emotion2vec_edge.engine.cli import cli
    from emotion2vec_edge.engine.errors import MissingExtraError

    try:
        from .exporter import ExportSettings, export_bundle, export_merged
    except ImportError as error:
        raise MissingExtraError(
            f"e2v export needs torch and onnx ({error}): pip install 'emotion2vec-edge[cpu,export]'"
        ) from None
    from .hub import resolve

    def progress(step: str, _done: float = 0, _total: float | None = None, /) -> None:
        click.echo(step, err=True)

    if single_file and precision:
        raise click.UsageError("--precision adds variants to a bundle; --single-file writes none")
    found = resolve(source, hub=hub, revision=revision, offline=offline)
    settings = ExportSettings(output, name=name, licence=licence, overwrite=overwrite)
    if single_file:
        evidence = export_merged(found, settings, progress).to_dict()
        written = output.stat().st_size
    else:
        fp32 = export_bundle(found, settings, progress).variants["fp32"]
        evidence, written = fp32.evidence["parity"], fp32.bytes
    largest = evidence["max_abs_difference"]
    click.echo(
        f"{printable(str(output))}: {size(written)}; differs from torch by at most "
        f"{largest['frames']:.1e} in frames and {largest['probabilities']:.1e} in probabilities"
    )
    if precision:
        # Through the root command: export knows nothing of quantize, which builds on it.
        options = [f"--precision={name}" for name in precision]
        cli.main(["quantize", *options, "--", str(output)], standalone_mode=False)
