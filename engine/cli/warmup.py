"""``e2v warmup``: prepare a model ahead of its first use."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ..display import size
from .options import model_options

if TYPE_CHECKING:
    from ..settings import ModelSettings


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
    from ..recognizer import Recognizer, opening_of
    from ..runtime.prepared import size_of

    with _clock("; ".join(["preparing", *_long_preparations()])):
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
    from ..runtime.providers import LADDER
    from ..runtime.session import import_onnxruntime

    available = import_onnxruntime().get_available_providers()
    return [
        provider.preparation
        for provider in LADDER
        if provider.preparation is not None and provider.ort_name in available
    ]


@contextlib.contextmanager
def _clock(work: str) -> Iterator[None]:
    """Name work that takes long, on a terminal with the seconds that it has taken."""
    if not sys.stderr.isatty():
        click.echo(f"e2v: {work}", err=True)
        yield
        return
    done = threading.Event()
    started = time.monotonic()

    def tick() -> None:
        while not done.wait(1):
            click.echo(f"\r{work} … {time.monotonic() - started:.0f} s", err=True, nl=False)

    clock = threading.Thread(target=tick, daemon=True)
    clock.start()
    try:
        yield
    finally:
        done.set()
        clock.join()
        click.echo("\r\x1b[K", err=True, nl=False)
