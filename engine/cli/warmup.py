"""``e2v warmup``: make ready ahead of time what the first use would wait for."""

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

    On TensorRT this builds the engines, which takes minutes and which it does not run without. On
    the CPU it stores the graphs as they are optimized and packed for this processor: they load
    faster, and processes share their weights. Both lie in the cache folder (E2V_CACHE), hold for
    one version of ONNX Runtime and one processor or GPU, and may be deleted. For CUDA there is
    nothing to keep.
    """
    from ..recognizer import Recognizer
    from ..runtime.prepared import entry_of
    from ..runtime.providers import TENSORRT
    from ..runtime.session import import_onnxruntime

    built = TENSORRT.ort_name in import_onnxruntime().get_available_providers()
    with _clock("preparing; TensorRT's engines take minutes" if built else "preparing"):
        recognizer = Recognizer.load(**asdict(model_settings), prepare=True)
    click.echo(repr(recognizer).splitlines()[0])
    place = entry_of(recognizer.bundle, recognizer.precision, recognizer.tier, recognizer.running)
    if place is None:
        click.echo(f"nothing to keep for {recognizer.provider}")
    else:
        click.echo(f"ready in {place.folder} ({size(place.bytes)})")
    for seconds, first, then in recognizer.warm_up():
        click.echo(f"{seconds:>3} s of audio: first {1000 * first:.1f} ms, then {1000 * then:.1f}")


@contextlib.contextmanager
def _clock(what: str) -> Iterator[None]:
    """Say what takes long, on a terminal with the seconds that it has taken."""
    if not sys.stderr.isatty():
        click.echo(f"e2v: {what}", err=True)
        yield
        return
    done = threading.Event()
    started = time.monotonic()

    def tick() -> None:
        while not done.wait(1):
            click.echo(f"\r{what} … {time.monotonic() - started:.0f} s", err=True, nl=False)

    clock = threading.Thread(target=tick, daemon=True)
    clock.start()
    try:
        yield
    finally:
        done.set()
        clock.join()
        click.echo("\r\x1b[K", err=True, nl=False)
