"""How right a model is on labelled speech: unweighted and weighted accuracy, calibration.

::

    python -m emotion2vec_edge.benchmarks.accuracy MANIFEST.csv [--model BUNDLE] [--precision fp32]

The manifest has the columns ``path,label`` and, where there are several, ``split``; paths are
relative to it, and their first folder is the corpus. UA is the mean recall over the labels that a
corpus has, from the argmax over all labels of the model.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from emotion2vec_edge.engine import AudioError, Recognizer
from emotion2vec_edge.quantize.gate import unweighted_accuracy

BOOTSTRAPS = 1_000


def bootstrap_interval(truth: NDArray[np.int64], found: NDArray[np.int64]) -> tuple[float, float]:
    """95 % interval of the UA under resampling of the clips."""
    rng = np.random.default_rng(0)
    values = []
    for _ in range(BOOTSTRAPS):
        pick = rng.integers(len(truth), size=len(truth))
        values.append(unweighted_accuracy(truth[pick], found[pick]))
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def calibration_error(right: NDArray[np.bool_], confidence: NDArray[np.float64]) -> float:
    """Expected calibration error over 15 bins of equal width: both [clips]."""
    bins = np.minimum((confidence * 15).astype(int), 14)
    error = 0.0
    for index in np.unique(bins):
        inside = bins == index
        error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return float(error)


@click.command()
@click.argument("manifest", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--model", help="Path or name of a bundle; the default otherwise.")
@click.option("--precision", default="auto", show_default=True, help="Variant of the bundle.")
@click.option("--split", default="test", show_default=True, help="Split of the manifest.")
def main(manifest: Path, model: str | None, precision: str, split: str) -> None:
    """Measure a model on the clips of MANIFEST."""
    with manifest.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get("split", split) == split]
    recognizer = Recognizer.load(model, precision=precision)
    click.echo(repr(recognizer))
    labels = {label: index for index, label in enumerate(recognizer.labels)}
    results: dict[str, list[tuple[int, int, float]]] = {}
    skipped = 0
    with click.progressbar(rows, label=f"{len(rows)} clips", file=sys.stderr) as bar:
        for row in bar:
            if row["label"] not in labels:
                skipped += 1
                continue
            try:
                utterance = recognizer.recognize(manifest.parent / row["path"])
            except AudioError as error:
                click.echo(f"left out: {error}", err=True)
                skipped += 1
                continue
            corpus = Path(row["path"]).parts[0]
            answer = (labels[row["label"]], labels[utterance.emotion], utterance.confidence)
            results.setdefault(corpus, []).append(answer)
    click.echo(f"{'corpus':<10} {'clips':>6} {'WA':>6} {'UA':>6} {'95 % interval':>16} {'ECE':>6}")
    for corpus, answers in sorted(results.items()):
        truth, found, confidence = map(np.array, zip(*answers, strict=True))
        right = truth == found
        low, high = bootstrap_interval(truth, found)
        click.echo(
            f"{corpus:<10} {len(truth):>6} {right.mean():>6.3f} "
            f"{unweighted_accuracy(truth, found):>6.3f} [{low:>6.3f}, {high:.3f}] "
            f"{calibration_error(right, confidence):>6.3f}"
        )
    if skipped:
        click.echo(f"{skipped} clips left out: a label that the model lacks, or unreadable audio")


if __name__ == "__main__":
    main()
