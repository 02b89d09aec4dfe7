"""``e2v warmup``: prepare a model ahead of its first use."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ...display import size
from ..options import model_options
from ..progress import shown_seconds

if TYPE_CHECKING:
    from ...settings import ModelSettings


@click.command()
@model_options
def warmup(model_settings: ModelSettings) -> None:
    """Prepare a model for this machine, once, and time it.

    For TensorRT this builds the engines, which takes minutes; it does not run without them. For the
    CPU it stores the graphs as they are optimized and packed for this processor: they load faster,
    and processes share their weights. Both are in the cache folder (E2V_CACHE), are valid for one
    version of ONNX Runtime and one processor or GPU, and may be deleted. For CUDA there is nothing
    to store.
    """
    from ...recognizer import Recognizer, opening_of
    from ...runtime.prepared import size_of

    with shown_seconds("; ".join(["preparing", *_long_preparations()])):
        recognizer = Recognizer.load(**asdict(model_settings), prepare=True)
    click.echo(repr(recognizer).splitlines()[0])
    folder = opening_of(recognizer).prepared()
    if folder is None:
        click.echo(f"nothing to store for {recognizer.provider}")
    else:
        click.echo(f"ready in {folder} ({size(size_of(folder))})")
    for seconds, first, then in recognizer.warm_up():
        click.echo(f"{seconds:>3} s of audio: first {1000 * first:.1f} ms, then {1000 * then:.1f}")


def _long_preparations() -> list[str]:
    """Remarks of the available providers whose preparation takes long."""
    from ...runtime.providers import LADDER
    from ...runtime.session import import_onnxruntime

    available = import_onnxruntime().get_available_providers()
    return [
        provider.preparation
        for provider in LADDER
        if provider.preparation is not None and provider.ort_name in available
    ]
