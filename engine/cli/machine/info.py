"""``e2v info``: the description of a bundle, its origin and its measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ...display import size
from ..options import offline_option

if TYPE_CHECKING:
    from ...bundle.manifest import Manifest


@click.command()
@click.argument("model", required=False)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Output format.",
)
@offline_option
def info(model: str | None, format_: str, offline: bool) -> None:
    """Describe MODEL, the path or name of a bundle; the default model otherwise.

    Of a model on the hub, hf://owner/name[@revision], the description alone is fetched.
    """
    from ...bundle.locate import open_bundle
    from ...bundle.manifest import CARD

    bundle = open_bundle(model, offline=offline, manifest_only=True)
    if format_ == "json":
        click.echo(bundle.manifest.to_json(), nl=False)
        return
    click.echo(f"{bundle.manifest.name}  ({bundle.folder})")
    for name, value in _facts(bundle.manifest):
        click.echo(f"  {name:<13}{value}")
    for precision, variant in bundle.manifest.variants.items():
        suits = ", ".join(variant.providers)
        click.echo(f"  {precision:<13}{size(variant.bytes)}, for {suits}")
        for line in _flat(variant.evidence):
            click.echo(f"  {'':<13}{line}")
    if (card := bundle.folder / CARD).is_file():
        click.echo(f"  {'card':<13}{card}")


def _facts(manifest: Manifest) -> list[tuple[str, str]]:
    source, architecture, audio = manifest.source, manifest.architecture, manifest.audio
    shown = [
        label.id if label.display in ("", label.id) else f"{label.id} ({label.display})"
        for label in manifest.labels
    ]
    origin = "@".join(filter(None, (source.origin, source.revision)))
    return [
        ("labels", ", ".join(shown) or "none: embeddings only"),
        ("licence", source.licence),
        ("source", f"{source.checkpoint}, {origin}"),
        (
            "architecture",
            f"{architecture.embed_dim} dims, "
            f"{architecture.prenet_depth} + {architecture.depth} blocks, "
            f"{architecture.heads} heads, {architecture.parameters / 1e6:.2f} M parameters",
        ),
        (
            "audio",
            f"{audio.sample_rate} Hz mono, a frame of {audio.receptive_field} samples "
            f"every {audio.hop}",
        ),
        ("space", _space(manifest)),
        ("created", f"{manifest.created}, ONNX opset {manifest.opset}, "
                 + ", ".join(f"{name} {version}" for name, version in manifest.tools.items())),
    ]  # fmt: skip


def _space(manifest: Manifest) -> str:
    record = manifest.space
    if record is None:
        return "none: embeddings are compared as they are"
    return f"{record.method}, fitted on {record.fitted_on or 'speech'}"


def _flat(evidence: Any, prefix: str = "") -> list[str]:
    """A nested mapping as ``a.b: value`` lines."""
    lines = []
    for name, value in evidence.items():
        if isinstance(value, dict) and value and {*map(type, value.values())} == {int}:
            counts = ", ".join(f"{key} {count}" for key, count in value.items())
            lines.append(f"{prefix}{name}: {counts}")  # such as the operators of a graph
        elif isinstance(value, dict):
            lines += _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            lines.append(f"{prefix}{name}: {'; '.join(map(str, value))}")
        else:
            shown = f"{value:.3g}" if isinstance(value, float) else value
            lines.append(f"{prefix}{name}: {shown}")
    return lines
