"""``e2v doctor``: tests of what this machine can run, and how to install what is missing."""

from __future__ import annotations

import importlib
import platform
from collections.abc import Iterator

import click

from ...settings import PRECISIONS, PROVIDER_NAMES, PrecisionChoice, ProviderChoice
from ..options import auto_option

ONE_NODE_GRAPH = bytes.fromhex(
    "08073a3b0a0e0a01780a01781201792203416464120570726f62655a100a0178120b0a0908011205"
    "0a0312016e62100a0179120b0a09080112050a0312016e42040a00100d"
)
"""An ONNX model of one Add, y = x + x, opset 13; tests/cli makes it anew."""


@click.command()
@click.option("--model", help="Bundle whose operators to list by provider.")
@auto_option("--provider", PROVIDER_NAMES, "The provider for --model.")
@auto_option("--precision", PRECISIONS, "The variant for --model.")
def doctor(model: str | None, provider: ProviderChoice, precision: PrecisionChoice) -> int:
    """Check ONNX Runtime, the execution providers, the processor and the decoders.

    The exit code is 0 if the default model runs here, 4 or 5 if it does not. With --model, a second
    of noise is encoded with that bundle, and the operators that its provider left to the CPU are
    listed.
    """
    from ...version import __version__

    click.echo(f"emotion2vec-edge {__version__}, Python {platform.python_version()}, "
               f"{platform.system()} {platform.machine()}")  # fmt: skip
    click.echo("processor")
    for line in _processor():
        click.echo(f"  {line}")
    click.echo("decoders")
    for line in _decoders():
        click.echo(f"  {line}")
    click.echo("privacy")
    click.echo(f"  {_telemetry()}")
    click.echo("execution providers")
    works = False
    for name, works_here, line in _providers():
        click.echo(f"  {'ok ' if works_here else '-- '} {name:<10}{line}")
        works = works or works_here
    click.echo("model")
    code, line = _default_model()
    click.echo(f"  {line}")
    if model is not None:
        for line in _placement(model, provider, precision):
            click.echo(f"  {line}")
    return code if works else 5


def _processor() -> Iterator[str]:
    from ...runtime.hardware import (
        cpu_features,
        gpu_line,
        usable_threads,
        visible_processors,
    )

    threads, visible = usable_threads(), visible_processors()
    limit = "" if threads == visible else f", of {visible} processors: its control group's limit"
    yield f"{threads} thread{'' if threads == 1 else 's'} usable by this process{limit}"
    yield ", ".join(cpu_features()) or "instruction sets unknown (no /proc/cpuinfo)"
    if (gpu := gpu_line()) is not None:
        yield gpu


def _telemetry() -> str:
    from ... import telemetry
    from ...runtime.session import import_onnxruntime

    problem = telemetry.problem(import_onnxruntime().__version__)
    if problem is None:
        return "ok  ONNX Runtime sends no telemetry"
    return f"--  ONNX Runtime may send telemetry: {problem}"


def _decoders() -> Iterator[str]:
    for module, purpose in (
        ("soundfile", "WAV, FLAC, OGG, Opus, MP3, AIFF"),
        ("av", "M4A/AAC, WebM, MP4, AMR and other formats of FFmpeg"),
        ("soxr", "resampling"),
    ):
        try:
            loaded = importlib.import_module(module)
        except (ImportError, OSError) as error:  # OSError: its shared library is missing
            yield f"--  {module}: {error}; for {purpose}: pip install {module}"
        else:
            yield f"ok  {module} {getattr(loaded, '__version__', '')}: {purpose}"


def _providers() -> Iterator[tuple[str, bool, str]]:
    import numpy as np

    from ...errors import E2VError
    from ...runtime.providers import LADDER, PROVIDERS
    from ...runtime.session import SessionConfig, import_onnxruntime

    ort = import_onnxruntime()
    built_in = ort.get_available_providers()
    for provider in PROVIDERS:
        if provider not in LADDER and provider.ort_name not in built_in:
            continue  # it is not expected in this build
        try:
            provider.require_available()
            session = provider.open_session(ONE_NODE_GRAPH, SessionConfig(1))
            result = session.run(None, {"x": np.ones(2, np.float32)})[0]
            if result.tolist() != [2.0, 2.0]:
                raise E2VError(f"computed 1 + 1 = {result.tolist()}")
        except E2VError as error:
            yield provider.name, False, str(error).removeprefix(f"{provider.name}: ")
        else:
            yield provider.name, True, f"runs a graph (onnxruntime {ort.__version__})"


def _default_model() -> tuple[int, str]:
    from ...errors import E2VError
    from ...recognizer import Recognizer

    try:
        recognizer = Recognizer.load()
    except E2VError as error:
        return error.exit_code, f"--  {error}"
    return 0, "ok  " + repr(recognizer).splitlines()[0]


def _placement(model: str, provider: ProviderChoice, precision: PrecisionChoice) -> Iterator[str]:
    from ...recognizer import Recognizer, opening_of
    from ...runtime.profiling import placements

    recognizer = Recognizer.load(model, provider=provider, precision=precision)
    yield repr(recognizer).splitlines()[0]
    for placement in placements(opening_of(recognizer)):
        yield str(placement)
