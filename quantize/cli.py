"""``e2v quantize``: a bundle gets an INT8, FP16 or static INT8 variant, behind the gate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from emotion2vec_edge.engine.cli.progress import TerminalProgress
from emotion2vec_edge.engine.display import size

from .choices import QUANTIZED, STATIC_TARGETS, Quantized, StaticTarget

if TYPE_CHECKING:
    from emotion2vec_edge.engine.bundle.manifest import Variant


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--precision",
    type=click.Choice(QUANTIZED),
    multiple=True,
    required=True,
    help="int8 for CPUs, fp16 for NVIDIA GPUs, int8-static for OpenVINO or TensorRT; may be "
    "repeated.",
)
@click.option(
    "--target",
    type=click.Choice(STATIC_TARGETS),
    help="Runtime to make int8-static for; openvino by default.",
)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help="Speech to compare on: a CSV (path,label) or a folder; the built-in clips otherwise.",
)
@click.option(
    "--clips",
    type=click.IntRange(8),
    default=300,
    show_default=True,
    help="Largest number of recordings to compare on.",
)
@click.option(
    "--search", is_flag=True, help="Find the layers that must stay in float instead of refusing."
)
@click.option(
    "--keep-float",
    multiple=True,
    metavar="LAYER",
    help="Keep a layer in float; frontend/convs.0 by default, '' for none.",
)
@click.option(
    "--agreement",
    type=float,
    default=0.98,
    show_default=True,
    help="Least share of clips with the same emotion as fp32.",
)
@click.option(
    "--mean-shift",
    type=float,
    default=0.01,
    show_default=True,
    help="Largest mean change of a probability.",
)
@click.option(
    "--ua-loss",
    type=float,
    default=0.01,
    show_default=True,
    help="Largest loss of unweighted accuracy, where there are labels.",
)
def quantize(
    bundle: Path, precision: tuple[Quantized, ...], target: StaticTarget | None,
    calibration: Path | None, clips: int, search: bool, keep_float: tuple[str, ...],
    agreement: float, mean_shift: float, ua_loss: float,
) -> None:  # fmt: skip
    """Add a variant to BUNDLE; one that lost too much against fp32 on speech is refused."""
    from emotion2vec_edge.engine.errors import MissingExtraError

    try:
        from .calibration import load_calibration
        from .gate import Limits
        from .int8 import KEEP_FLOAT
        from .quantizer import add_fp16, add_int8, add_int8_static
    except ImportError as error:
        raise MissingExtraError(
            f"e2v quantize needs onnx ({error}): pip install 'emotion2vec-edge[cpu,quantize]'"
        ) from None

    if target is not None and "int8-static" not in precision:
        raise click.UsageError(f"--target {target} is for --precision int8-static")
    kept = tuple(layer for layer in keep_float if layer) if keep_float else KEEP_FLOAT
    limits = Limits(agreement=agreement, mean_shift=mean_shift, ua_loss=ua_loss)
    speech = load_calibration(calibration, clips)
    for name in precision:
        with TerminalProgress() as progress:
            if name == "int8":
                variant = add_int8(bundle, speech, kept, limits, search=search, progress=progress)
            elif name == "int8-static":
                variant = add_int8_static(
                    bundle, speech, kept, limits, target=target or "openvino", search=search,
                    progress=progress,
                )  # fmt: skip
            else:
                variant = add_fp16(bundle, speech, progress=progress)
        click.echo(f"{bundle}: {name}, {_measurements(variant)}")
        if layers := variant.recipe.get("keep_float"):
            click.echo(f"in float: {', '.join(layers)}")


def _measurements(variant: Variant) -> str:
    """The size of a variant and its comparison with fp32, in words."""
    measured = variant.evidence
    facts = [size(variant.bytes), f"{measured['clips']} clips"]
    if "agreement" in measured:
        facts.append(f"agrees with fp32 on {measured['agreement']:.1%}")
        facts.append(f"shifts a probability by {measured['mean_shift']:.4f} on average, "
                     f"{measured['max_shift']:.3f} at most")  # fmt: skip
    if "ua" in measured:
        facts.append(f"UA {measured['ua']:.3f} (fp32 {measured['ua_fp32']:.3f})")
    facts.append(f"embedding cosine {measured['cosine']:.4f}")
    return "; ".join(facts)
