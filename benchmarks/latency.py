"""How long one clip takes, samples in and result out: the engine, and FunASR where it is installed.

::

    python -m emotion2vec_edge.benchmarks.latency BUNDLE [--checkpoint FOLDER] [--seconds 3 ...]

FunASR runs the checkpoint that the bundle was made from, in eager torch on as many threads as the
engine; both are run in turns.
"""

from __future__ import annotations

import functools
import os
import platform
import statistics
import warnings
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import onnxruntime

from emotion2vec_edge.engine import Recognizer, example_recordings, load_audio
from emotion2vec_edge.engine.audio import SAMPLE_RATE, Samples
from emotion2vec_edge.engine.cpu import cpu_features

from .timing import interleaved


def funasr_runner(checkpoint: Path, threads: int) -> Callable[[Samples], object]:
    """FunASR's own class with a checkpoint's weights, as a function of samples."""
    import torch
    import yaml
    from funasr.models.emotion2vec.model import Emotion2vec

    from emotion2vec_edge.export.checkpoint import read_weights

    torch.set_num_threads(threads)
    document = yaml.safe_load((checkpoint / "config.yaml").read_text(encoding="utf-8"))
    weights = read_weights(checkpoint / "model.pt")
    model = Emotion2vec(**document, vocab_size=len(weights["proj.bias"])).eval()
    model.load_state_dict(weights)

    def run(samples: Samples) -> object:
        with torch.inference_mode():
            return model.inference([samples], key=["clip"], device="cpu")

    return run


@click.command()
@click.argument("bundle", required=False)
@click.option(
    "--checkpoint",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The FunASR folder that the bundle was made from.",
)
@click.option(
    "--seconds",
    multiple=True,
    type=float,
    default=(3.0, 10.0, 30.0),
    show_default=True,
    help="Lengths of audio; may be given several times.",
)
@click.option("--rounds", default=7, show_default=True, help="Repetitions; medians are shown.")
def main(
    bundle: str | None, checkpoint: Path | None, seconds: tuple[float, ...], rounds: int
) -> None:  # fmt: skip
    """Time BUNDLE, or the default model, on speech repeated to each length."""
    recognizer = Recognizer.load(bundle)
    speech = np.concatenate([load_audio(path).samples for path in example_recordings()])
    click.echo(repr(recognizer))
    click.echo(
        f"onnxruntime {onnxruntime.__version__}, {platform.machine()}, "
        f"{', '.join(cpu_features())}; load average {os.getloadavg()[0]:.1f}; "
        f"{rounds} rounds in turns, medians in ms [quartiles]"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # FunASR's own
        funasr = funasr_runner(checkpoint, recognizer.threads) if checkpoint else None
    for length in seconds:
        samples = np.resize(speech, round(length * SAMPLE_RATE))
        tasks: list[Callable[[], object]] = [
            functools.partial(recognizer.recognize, samples, SAMPLE_RATE)
        ]
        if funasr:
            tasks.append(functools.partial(funasr, samples))
        runs = interleaved(tasks, rounds)
        medians = [statistics.median(run) for run in runs]
        line = f"{length:>5g} s  engine {_spread(runs[0])}, {length / medians[0]:.0f} x real time"
        if funasr:
            line += f"; FunASR {_spread(runs[1])}, ratio {medians[1] / medians[0]:.2f}"
        click.echo(line)


def _spread(run: list[float]) -> str:
    low, middle, high = (1000 * value for value in statistics.quantiles(run, n=4))
    return f"{middle:.0f} [{low:.0f}, {high:.0f}]"


if __name__ == "__main__":
    main()
