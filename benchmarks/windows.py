"""What a timeline costs: from the one shared pass, and with each window encoded alone.

::

    python -m emotion2vec_edge.benchmarks.windows AUDIO [--model BUNDLE]

The two timelines differ by design: a window pooled from the shared pass has heard the context
around it, a window encoded alone has not. The table says by how much.
"""

from __future__ import annotations

import statistics
import time

import click
import numpy as np

from emotion2vec_edge.engine import Recognizer, Timeline, load_audio
from emotion2vec_edge.engine.audio import LEAST_SAMPLES, SAMPLE_RATE, Samples

from .timing import interleaved


def encoded_alone(recognizer: Recognizer, samples: Samples, timeline: Timeline) -> np.ndarray:
    """Scores of each window of a timeline encoded by itself: float32 [windows, labels]."""
    scores = []
    for start, end in zip(timeline.starts, timeline.ends, strict=True):
        first = round(start * SAMPLE_RATE)
        last = max(round(end * SAMPLE_RATE), first + LEAST_SAMPLES)
        window = samples[min(first, len(samples) - LEAST_SAMPLES) : last]
        scores.append(list(recognizer.recognize(window, SAMPLE_RATE).scores.values()))
    return np.array(scores, np.float32)


@click.command()
@click.argument("audio", type=click.Path(exists=True, dir_okay=False))
@click.option("--model", help="Path or name of a bundle; the default otherwise.")
@click.option("--seconds", default=10.0, show_default=True, help="How much of the audio to take.")
@click.option("--rounds", default=9, show_default=True, help="Repetitions; medians are shown.")
def main(audio: str, model: str | None, seconds: float, rounds: int) -> None:
    """Time the timeline of AUDIO, which is repeated where it is shorter than --seconds."""
    recognizer = Recognizer.load(model)
    samples = load_audio(audio).samples
    samples = np.resize(samples, round(seconds * SAMPLE_RATE))
    click.echo(repr(recognizer))
    click.echo(f"{seconds:g} s of audio, {rounds} rounds, interleaved, medians in ms")
    columns = ("window/hop", "windows", "utterance", "+ timeline", "cost", "alone", "ratio")
    click.echo(" ".join(f"{name:>10}" for name in (*columns, "same label", "mean |dp|")))
    for window, hop in ((0.1, 0.05), (1.0, 0.5), (2.0, 0.5)):
        cells = _row(recognizer, samples, window, hop, rounds)
        click.echo(" ".join(f"{cell:>10}" for cell in cells))


def _row(
    recognizer: Recognizer, samples: Samples, window: float, hop: float, rounds: int
) -> list[str]:
    def utterance() -> object:
        return recognizer.encode(samples, SAMPLE_RATE).utterance()

    def shared() -> Timeline:
        encoding = recognizer.encode(samples, SAMPLE_RATE)
        encoding.utterance()
        return encoding.timeline(window, hop)

    # The pooling by itself: the difference of two noisy passes would hide it.
    encoding = recognizer.encode(samples, SAMPLE_RATE)
    runs = interleaved([utterance, shared, lambda: encoding.timeline(window, hop)], rounds)
    plain, with_timeline, pooling = (1000 * statistics.median(run) for run in runs)

    timeline = shared()
    started = time.perf_counter()
    alone = encoded_alone(recognizer, samples, timeline)
    alone_ms = 1000 * (time.perf_counter() - started)
    same = (alone.argmax(axis=1) == timeline.scores.argmax(axis=1)).mean()
    return [
        f"{window:g}/{hop:g}",
        str(len(timeline)),
        f"{plain:.1f}",
        f"{with_timeline:.1f}",
        f"{pooling / plain:.2%}",
        f"{alone_ms:.0f}",
        f"{alone_ms / with_timeline:.1f}x",
        f"{same:.1%}",
        f"{np.abs(alone - timeline.scores).mean():.4f}",
    ]


if __name__ == "__main__":
    main()
