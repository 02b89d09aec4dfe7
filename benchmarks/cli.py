"""``e2v bench``: one command a question; a table, and with -o JSON, Markdown, PNG."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from .document import Document

MODEL = click.option("--model", help="Path or name of a bundle; the default otherwise.")
PROVIDER = click.option(
    "--provider", default="auto", show_default=True, help="auto, tensorrt, cuda or cpu."
)
THREADS = click.option("--threads", type=int, help="Processors to use; all by default.")
CHECKPOINT = click.option(
    "--checkpoint",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The FunASR folder that the bundle was made from.",
)
FOLDER = click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Also write JSON, Markdown and PNG there.",
)
PEERS = (
    "torch", "torch-int8", "torch-sdpa", "torch-compile", "funasr", "ort", "ort-naive-int8",
    "openvino",
)  # fmt: skip
VARIANTS = click.option(
    "--variants",
    "-v",
    multiple=True,
    type=click.Choice(["fp32", "int8", "fp16"]),
    help="Precisions; may be given several times.",
)


@click.group()
def bench() -> None:
    """Benchmarks: how fast, how right, how near to what the machine can do."""


def _say(text: str) -> None:
    """What is being done, on a terminal."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{text} …", err=True, nl=False)


def _finish(document: Document, output: Path | None) -> None:
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", err=True, nl=False)
    click.echo(document.text())
    if output is not None:
        document.write(output)
        click.echo(f"written to {output}", err=True)


@bench.command()
@MODEL
@VARIANTS
@PROVIDER
@THREADS
@click.option(
    "--seconds",
    "-s",
    multiple=True,
    type=click.FloatRange(0.025),
    default=(1.0, 3.0, 10.0, 30.0),
    show_default=True,
    help="Length of the audio; may be given several times.",
)
@click.option("--rounds", type=click.IntRange(1), default=9, show_default=True)
@click.option(
    "--peers",
    "-p",
    multiple=True,
    type=click.Choice(PEERS),
    help="What else to run, in turns; may be given several times. Needs --checkpoint.",
)
@CHECKPOINT
@click.option("--cold/--no-cold", default=True, show_default=True, help="Also whole processes.")
@FOLDER
def latency(
    model: str | None, variants: tuple[str, ...], provider: str, threads: int | None,
    seconds: tuple[float, ...], rounds: int, peers: tuple[str, ...], checkpoint: Path | None,
    cold: bool, output: Path | None,
) -> None:  # fmt: skip
    """Time from samples to result: variants of a model, and what people use today."""
    from .latency import LatencySettings, measure

    settings = LatencySettings(
        model, variants, provider, threads, rounds, peers, checkpoint, seconds, cold
    )
    _finish(measure(settings, _say), output)


@bench.command()
@MODEL
@VARIANTS
@PROVIDER
@THREADS
@click.option(
    "--seconds",
    "-s",
    multiple=True,
    type=click.FloatRange(0.025),
    default=(3.0, 10.0),
    show_default=True,
    help="Length of each clip; may be given several times.",
)
@click.option(
    "--batch-size",
    "-b",
    "sizes",
    multiple=True,
    type=click.IntRange(1),
    default=(1, 2, 4, 8, 16, 32),
    show_default=True,
    help="Clips at once; may be given several times.",
)
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option(
    "--peers",
    "-p",
    multiple=True,
    type=click.Choice(["torch-sdpa", "torch-compile"]),
    help="What else to run, in turns, on the same device. Needs --checkpoint.",
)
@CHECKPOINT
@FOLDER
def throughput(
    model: str | None, variants: tuple[str, ...], provider: str, threads: int | None,
    seconds: tuple[float, ...], sizes: tuple[int, ...], rounds: int, peers: tuple[str, ...],
    checkpoint: Path | None, output: Path | None,
) -> None:  # fmt: skip
    """Clips a second, by how many are encoded together: what a GPU gains from batches."""
    from .throughput import ThroughputSettings, measure

    settings = ThroughputSettings(
        model, variants, provider, threads, rounds, peers, checkpoint, seconds, sizes
    )
    _finish(measure(settings, _say), output)


@bench.command()
@click.argument("speech", required=False, type=click.Path(exists=True, path_type=Path))
@MODEL
@click.option("--seconds", default=10.0, show_default=True, help="Length of each clip.")
@click.option("--clips", type=click.IntRange(1), default=10, show_default=True, help="To compare.")
@click.option("--rounds", type=click.IntRange(1), default=9, show_default=True)
@FOLDER
def windows(
    speech: Path | None, model: str | None, seconds: float, clips: int, rounds: int,
    output: Path | None,
) -> None:  # fmt: skip
    """Time and compare timelines: one shared pass against each window alone.

    SPEECH is a recording or a folder of them, joined; the examples otherwise.
    """
    _finish(_windows(speech, model, seconds, clips, rounds), output)


def _windows(
    speech: Path | None, model: str | None, seconds: float, clips: int, rounds: int
) -> Document:  # fmt: skip
    import numpy as np

    from emotion2vec_edge.engine.audio.types import SAMPLE_RATE

    from .recordings import joined_speech
    from .windows import measure

    samples = joined_speech(speech, clips * seconds)
    pieces = np.split(samples, range(0, len(samples), round(seconds * SAMPLE_RATE))[1:])
    return measure(model, pieces[:clips], rounds, _say)


@bench.command()
@click.argument("manifests", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@MODEL
@VARIANTS
@click.option("--split", default="test", show_default=True, help="Of a CSV; all takes every row.")
@click.option("--noise-snr", multiple=True, type=float, help="Also with white noise, in dB.")
@click.option("--gain", multiple=True, type=float, help="Also louder or quieter, in dB.")
@click.option("--codec", multiple=True, help="Also through a codec, as opus:16k.")
@click.option("--rate", multiple=True, type=int, help="Also through a lower sample rate, in Hz.")
@click.option("--most", type=click.IntRange(1), help="At most so many clips of each corpus.")
@FOLDER
def accuracy(
    manifests: tuple[Path, ...], model: str | None, variants: tuple[str, ...], split: str,
    noise_snr: tuple[float, ...], gain: tuple[float, ...], codec: tuple[str, ...],
    rate: tuple[int, ...], most: int | None, output: Path | None,
) -> None:  # fmt: skip
    """Measure a model on labelled speech.

    MANIFESTS are CSVs with the columns path,label (and split), folders with a folder per label, or
    EmoBox's .jsonl.
    """
    from . import degradations
    from .accuracy import measure
    from .models import runnable_variants

    made = [
        *map(degradations.noise, noise_snr),
        *map(degradations.gain, gain),
        *map(degradations.codec, codec),
        *map(degradations.narrow, rate),
    ]
    document = measure(
        manifests, model, variants or runnable_variants(model),
        None if split == "all" else split, made, most, _bar,
    )  # fmt: skip
    _finish(document, output)


def _bar(clips: Sequence[Any]) -> Iterator[Any]:
    """The clips, with a bar on a terminal."""
    if not sys.stderr.isatty():
        yield from clips
        return
    with click.progressbar(clips, label=f"{len(clips)} clips", file=sys.stderr) as bar:
        yield from bar


@bench.command()
@MODEL
@click.option("--precision", default="auto", show_default=True, help="Variant of the bundle.")
@click.option("--seconds", type=click.FloatRange(0.025), default=10.0, show_default=True)
@THREADS
@FOLDER
def roofline(
    model: str | None, precision: str, seconds: float, threads: int | None, output: Path | None
) -> None:  # fmt: skip
    """Count what the model computes, and how near it comes to what the machine can do."""
    from .roofline import measure

    _finish(measure(model, precision, seconds, threads, _say), output)


@bench.command()
@click.argument("speech", required=False, type=click.Path(exists=True, path_type=Path))
@MODEL
@click.option(
    "--part",
    "parts",
    type=click.Choice(["memory", "chunks", "batch", "stream", "kill"]),
    multiple=True,
    help="Only this; may be given several times.",
)
@click.option("--files", type=click.IntRange(1), default=500, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--live-seconds", default=60.0, show_default=True)
@click.option("--whole-seconds", default=300.0, show_default=True)
@click.option("--kill-rounds", type=click.IntRange(1), default=20, show_default=True)
@FOLDER
def recordings(
    speech: Path | None, model: str | None, parts: tuple[str, ...], files: int, rounds: int,
    live_seconds: float, whole_seconds: float, kill_rounds: int, output: Path | None,
) -> None:  # fmt: skip
    """Measure long recordings, folders, live audio, and what a kill costs.

    SPEECH is a folder of recordings; those that come with the package otherwise.
    """
    from .recordings import PARTS, RecordingsSettings, measure

    settings = RecordingsSettings(
        parts or PARTS, files, rounds, live_seconds, whole_seconds, kill_rounds
    )
    _finish(measure(speech, model, settings, _say), output)


@bench.command("random-model")
@click.option(
    "--shape", type=click.Choice(["plus_large", "base"]), default="plus_large", show_default=True
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder of the bundle."
)
@click.option(
    "--checkpoint", type=click.Path(path_type=Path), help="Keep the checkpoint there, for peers."
)
@click.option("--int8/--no-int8", default=True, show_default=True, help="Add the INT8 variant.")
def random_model(shape: str, output: Path, checkpoint: Path | None, int8: bool) -> None:
    """Make a bundle of the real size with random weights: for speed, never for accuracy."""
    from emotion2vec_edge.engine.errors import MissingExtraError

    try:
        from .models import make_random_bundle

        make_random_bundle(shape, output, checkpoint, _say)
    except ImportError as error:
        if isinstance(error, MissingExtraError):
            raise
        raise MissingExtraError(
            f"a model is made with torch ({error}): pip install 'emotion2vec-edge[cpu,export]'"
        ) from None
    if int8:
        _quantize(output)
    click.echo(f"\n{output}: {shape} with random weights")


def _quantize(folder: Path) -> None:
    from emotion2vec_edge.engine.cli import cli

    code = cli.main(
        ["quantize", str(folder), "--precision", "int8"], prog_name="e2v", standalone_mode=False
    )
    if code:
        raise click.exceptions.Exit(code)


@bench.command()
@click.argument("old", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("new", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--threshold",
    type=click.FloatRange(1.0),
    default=1.1,
    show_default=True,
    help="How many times worse a value may be.",
)
def compare(old: Path, new: Path, threshold: float) -> int:
    """Compare two JSON files of one benchmark; exit code 1 where NEW is worse."""
    from .compare import compare as run

    found = run(old, new, threshold)
    click.echo(found.table.text())
    for line in found.worse:
        click.echo(f"e2v: worse: {line}", err=True)
    return 1 if found.worse else 0


@bench.command()
@click.option(
    "--speech",
    "manifests",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Labelled speech, for the accuracy; may be given several times.",
)
@click.option(
    "--large",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A second bundle to time, such as one of e2v bench random-model.",
)
@click.option(
    "--large-checkpoint",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Its checkpoint, for the peers.",
)
@click.option(
    "--checkpoint",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The checkpoint of the default model, for the peers.",
)
@click.option("--peers", "-p", multiple=True, type=click.Choice(PEERS))
@click.option("--rounds", type=click.IntRange(1), default=7, show_default=True)
@click.option("--most", type=click.IntRange(1), help="At most so many clips of each corpus.")
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), required=True)
def report(
    manifests: tuple[Path, ...], large: Path | None, large_checkpoint: Path | None,
    checkpoint: Path | None, peers: tuple[str, ...], rounds: int, most: int | None, output: Path,
) -> None:  # fmt: skip
    """Run a standard set and write one page: README.md, report.html, tables and pictures.

    What is in the folder already, from a run that was stopped, is not measured again.
    """
    from emotion2vec_edge.engine import open_bundle

    from . import accuracy, windows
    from .document import read_document
    from .latency import LatencySettings
    from .latency import draw as latency_draw
    from .latency import measure as time_it
    from .report import write_report
    from .roofline import measure as count_it

    documents: list[tuple[str, Document]] = []

    def add(
        heading: str, name: str, draw: Callable[[Document], bytes] | None,
        make: Callable[[], Document],
    ) -> None:  # fmt: skip
        path = output / f"{name}.json"
        if path.is_file():
            document = read_document(path)
        else:
            _say(heading)
            document = make()
            document.name = name
            document.write(output)  # what is done is kept, whatever comes
        document.draw = draw
        documents.append((heading, document))

    add(
        "Latency of the embedded model",
        "latency_small",
        latency_draw,
        lambda: time_it(
            LatencySettings(
                rounds=rounds, peers=peers if checkpoint else (), checkpoint=checkpoint
            ),
            _say,
        ),
    )
    if large is not None:
        given = LatencySettings(
            str(large), rounds=rounds, peers=peers if large_checkpoint else (),
            checkpoint=large_checkpoint,
        )  # fmt: skip
        name = open_bundle(large).manifest.name
        add(f"Latency of {name}", "latency_large", latency_draw, lambda: time_it(given, _say))
        add(
            f"What {name} computes",
            "roofline_large",
            None,
            lambda: count_it(str(large), "auto", 10.0, None, _say),
        )
    add("Timelines", "windows", windows.draw, lambda: _windows_document(manifests, rounds))
    if manifests:
        add("Accuracy", "accuracy", accuracy.draw, lambda: _accuracy_document(manifests, most))
    command = "e2v bench report" + "".join(
        f" {option}"
        for option, given in {
            "--speech MANIFEST": manifests,
            "--checkpoint FOLDER": checkpoint,
            "--large BUNDLE": large,
            "--large-checkpoint FOLDER": large_checkpoint,
            " ".join(f"-p {name}" for name in peers): peers,
            f"--rounds {rounds} -o FOLDER": True,
        }.items()
        if given
    )
    write_report(documents, output, command)
    click.echo(f"written to {output}")


def _windows_document(manifests: Sequence[Path], rounds: int) -> Document:
    speech = None
    if manifests:
        speech = manifests[0] if manifests[0].is_dir() else manifests[0].parent
    return _windows(speech, None, 10.0, 10, rounds)


def _accuracy_document(manifests: Sequence[Path], most: int | None) -> Document:
    from .accuracy import measure
    from .models import runnable_variants

    return measure(manifests, None, runnable_variants(None), "test", (), most, _bar)
