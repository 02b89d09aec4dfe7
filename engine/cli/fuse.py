"""``e2v fuse``: one emotion from the scores of several senses."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from ..errors import ModalityError
from .options import output_option
from .stdio import write_utf8

if TYPE_CHECKING:
    from ..fusion.alignment import AlignedScores
    from ..fusion.modality import ScoredSpan

FILE = click.Path(dir_okay=False, path_type=Path)


def _pairs(_context: object, _parameter: object, values: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not name or not equals or not value:
            raise click.BadParameter(f"{text!r} is not of the form MODALITY=VALUE")
        found[name] = value
    return found


@click.command()
@click.argument("scores", nargs=-1, required=True, type=FILE)
@output_option
@click.option(
    "--map",
    "maps",
    multiple=True,
    metavar="MODALITY=SET",
    callback=_pairs,
    help="Labels of a modality: ekman6, fer7, affectnet8 or goemotions28; emotion2vec's otherwise.",
)
@click.option(
    "--weight",
    "given",
    multiple=True,
    metavar="MODALITY=W",
    callback=_pairs,
    help="Weight of a modality; 1 otherwise.",
)
@click.option("--weights", type=FILE, help="Weights and temperature that --fit has written.")
@click.option(
    "--fit",
    type=FILE,
    metavar="TRUTH",
    help="Fit the weights on JSON lines with start, end, label, speaker, and write them to -o.",
)
def fuse(
    scores: tuple[Path, ...], output: Path | None, maps: dict[str, str], given: dict[str, str],
    weights: Path | None, fit: Path | None,
) -> None:  # fmt: skip
    """Fuse SCORES, one file for each sense, into one emotion for each turn or window of the first.

    SCORES are JSON lines with modality, start, end and scores by label, or the JSON of e2v
    recognize. Where a sense has no scores it says nothing; the result tells how much each said.
    """
    from ..fusion.alignment import align
    from ..fusion.labels import label_map
    from ..fusion.modality import by_modality
    from ..fusion.pooling import FusionWeights
    from ..fusion.pooling import fuse as fuse_scores
    from ..fusion.weights import read_weights

    if sum(bool(way) for way in (given, weights, fit)) > 1:
        raise click.UsageError("--weight, --weights and --fit: give one of them")
    modalities = by_modality(_merged(scores))
    aligned = align(modalities, {name: label_map(own) for name, own in maps.items()})
    _warn(modalities, weights or fit)
    if fit is not None:
        _fit(aligned, fit, output)
        return
    chosen = FusionWeights(_numbers(given)) if weights is None else read_weights(weights)
    fused = fuse_scores(aligned, chosen)
    with _destination(output) as out:
        for span in fused:
            out.write(json.dumps(span.to_dict(), ensure_ascii=False, allow_nan=False) + "\n")


def _merged(paths: Sequence[Path]) -> Iterator[ScoredSpan]:
    from ..fusion.modality import read_modality

    homes: dict[str, Path] = {}
    for path in paths:
        spans = read_modality(path)
        for name in {span.modality for span in spans}:
            if name in homes:
                raise ModalityError(
                    f"{path}: modality {name!r} is in {homes[name]} too; name them differently"
                )
            homes[name] = path
        yield from spans


def _numbers(given: Mapping[str, str]) -> dict[str, float]:
    found = {}
    for name, text in given.items():
        try:
            found[name] = float(text)
        except ValueError:
            raise ModalityError(f"weight of {name} is {text!r}; give a number") from None
    return found


def _warn(modalities: Mapping[str, Sequence[ScoredSpan]], fitted: Path | None) -> None:
    loose = [name for name, own in modalities.items() if not all(span.calibrated for span in own)]
    if loose and fitted is None:
        click.echo(
            f"e2v: not calibrated: {', '.join(loose)}; a sense that is too sure of itself weighs "
            "too much, and --fit finds its weight",
            err=True,
        )


def _fit(aligned: AlignedScores, path: Path, output: Path | None) -> None:
    from ..fusion.truth import match_truth, read_truth
    from ..fusion.weights import fit_weights, write_weights

    if output is None:
        raise click.UsageError("--fit writes the weights: give their file with -o")
    labelled = match_truth(aligned, read_truth(path))
    fitted = fit_weights(labelled.aligned, labelled.truth, labelled.speakers)
    write_weights(fitted, output)
    told = ", ".join(f"{name} {weight:g}" for name, weight in fitted.weights.weights.items())
    click.echo(
        f"{output}: {told}, temperature {fitted.weights.temperature:g}; on held-out speakers UA "
        f"{fitted.ua:.3f}, ECE {fitted.ece:.3f}",
        err=True,
    )


@contextlib.contextmanager
def _destination(output: Path | None) -> Iterator[TextIO]:
    from ..files import atomic_text

    if output is not None and str(output) != "-":
        with atomic_text(output) as out:
            yield out
        return
    write_utf8()
    yield sys.stdout
