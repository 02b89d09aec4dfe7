"""Accuracy of the variants of a model on labelled speech.

UA is the mean recall over the labels that a corpus has, from the argmax over ALL labels of the
model. Clips whose label the model does not have are left out, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion2vec_edge.engine import AudioError, Recognizer
from emotion2vec_edge.engine.audio.types import LEAST_SAMPLES, SAMPLE_RATE, Samples
from emotion2vec_edge.engine.corpora.labelled import LabelledClip, read_corpus
from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.metrics import confusion, mcnemar, recalls, score
from emotion2vec_edge.engine.progress import Progress, no_progress
from emotion2vec_edge.engine.settings import PrecisionChoice

from ..degradations import CLEAN, Degradation
from ..instruments.machine import describe
from ..models import model_line, runnable_variants
from ..reporting.charts import bars
from ..reporting.document import Document
from ..reporting.table import Column, Table, Value

OVERALL = "mean of all"


@dataclass(frozen=True)
class AccuracySettings:
    """Labelled speech, and the variants that hear it."""

    corpora: tuple[Path, ...]
    """Corpora as :func:`~emotion2vec_edge.engine.corpora.labelled.read_corpus` takes them."""
    model: str | None = None
    """Path or name of a bundle; None takes the default."""
    variants: tuple[PrecisionChoice, ...] = ()
    """Precisions, the first of which the others are compared with; empty takes all that run."""
    split: str | None = "test"
    """Split of a manifest; None takes all rows."""
    degradations: tuple[Degradation, ...] = ()
    """Degradations to measure beside the clean clips."""
    most: int | None = None
    """Largest number of clips of each corpus, spread evenly; None takes all."""


@dataclass
class _Corpus:
    """True labels and answers on the clips of one corpus."""

    truth: list[int] = field(default_factory=list)
    """Index of each clip's label."""
    scores: dict[tuple[str, str], list[NDArray[np.float32]]] = field(default_factory=dict)
    """(degradation, variant) → float32 [labels] of each clip."""

    def answers(self, degradation: str, variant: str) -> NDArray[np.float32]:
        """float32 [clips, labels]."""
        return np.array(self.scores[degradation, variant])


def measure(
    settings: AccuracySettings,
    progress: Progress = no_progress,
) -> Document:
    """Run every variant over every clip, clean and with each degradation.

    Args:
        settings: corpora and variants.
        progress: receives the number of clips that are done.

    Raises:
        OptionError: no usable clip; as :func:`read_corpus`.
        ModelError: the model cannot be used.
    """
    machine = describe()
    variants = settings.variants or tuple(runnable_variants(settings.model))
    recognizers = {name: Recognizer.load(settings.model, precision=name) for name in variants}
    first = next(iter(recognizers.values()))
    clips = [
        clip
        for path in settings.corpora
        for clip in _some(read_corpus(path, settings.split), settings.most)
    ]
    degradations = (CLEAN, *settings.degradations)
    corpora, left_out = _answers(clips, recognizers, degradations, progress)
    if not corpora:
        raise OptionError(f"no clip could be used; left out: {dict(left_out)}")
    note = "; ".join(f"{count} clips left out: {reason}" for reason, count in left_out.items())
    tables = [
        _accuracy(corpora, variants, note),
        *([_agreement(corpora, variants)] if len(variants) > 1 else []),
        _recalls(corpora, variants, first.labels),
        _confusion(corpora, variants[-1], first.labels),
        *([_degradations(corpora, degradations, variants)] if settings.degradations else []),
    ]
    used = {
        "corpora": [path.name for path in settings.corpora],
        "variants": list(variants),
        "split": settings.split,
        "degradations": [degradation.name for degradation in degradations],
    }
    return Document("accuracy", used, [model_line(first)], machine, tables, draw)


def _answers(
    clips: Sequence[LabelledClip],
    recognizers: Mapping[PrecisionChoice, Recognizer],
    degradations: Sequence[Degradation],
    progress: Progress,
) -> tuple[dict[str, _Corpus], Counter[str]]:
    """Answers by corpus, and the number of clips that were left out by reason."""
    labels = next(iter(recognizers.values())).labels
    index: dict[str | None, int] = {label: number for number, label in enumerate(labels)}
    corpora: dict[str, _Corpus] = {}
    left_out: Counter[str] = Counter()
    for number, clip in enumerate(clips, 1):
        progress("clips", number, len(clips))
        heard = _heard(clip, index, degradations)
        if isinstance(heard, str):
            left_out[heard] += 1
            continue
        corpus = corpora.setdefault(clip.corpus, _Corpus())
        corpus.truth.append(index[clip.label])
        for degradation, samples in zip(degradations, heard, strict=True):
            for name, recognizer in recognizers.items():
                scores = recognizer.recognize(samples, SAMPLE_RATE).scores
                answer = np.fromiter(scores.values(), np.float32)
                corpus.scores.setdefault((degradation.name, name), []).append(answer)
    return corpora, left_out


def _heard(
    clip: LabelledClip, index: Mapping[str | None, int], degradations: Sequence[Degradation]
) -> list[Samples] | str:
    """A clip's samples with each degradation, or the reason to leave it out."""
    if clip.label not in index:
        return f"label {clip.label!r}, which the model does not have"
    try:
        samples = clip.samples()
        heard = [degradation.apply(samples) for degradation in degradations]
    except AudioError as error:
        return type(error).__name__
    if min(map(len, heard)) < LEAST_SAMPLES:
        return "shorter than 25 ms after a degradation"
    return heard


def _some(clips: list[LabelledClip], most: int | None) -> list[LabelledClip]:
    """Clips of each corpus, spread evenly, at most ``most``."""
    if most is None:
        return clips
    corpora: dict[str, list[LabelledClip]] = {}
    for clip in clips:
        corpora.setdefault(clip.corpus, []).append(clip)
    return [
        members[i]
        for members in corpora.values()
        for i in np.unique(np.linspace(0, len(members) - 1, min(most, len(members))).astype(int))
    ]


def _accuracy(corpora: dict[str, _Corpus], variants: Sequence[str], note: str) -> Table:
    table = Table(
        "Accuracy",
        [Column("corpus"), Column("variant"), Column("clips", "d"), Column("UA", ".3f", "higher"),
         Column("95 % interval"), Column("WA", ".3f", "higher"), Column("F1", ".3f", "higher"),
         Column("ECE", ".3f", "lower")],
        note=note,
    )  # fmt: skip
    means: dict[str, list[tuple[float, float, float, float]]] = {}
    for name, corpus in sorted(corpora.items()):
        for variant in variants:
            answers = corpus.answers(CLEAN.name, variant)
            s = score(np.array(corpus.truth), answers.argmax(axis=1), answers.max(axis=1))
            interval = f"{s.ua_low:.3f} to {s.ua_high:.3f}"
            table.rows.append([name, variant, s.clips, s.ua, interval, s.wa, s.f1, s.ece])
            means.setdefault(variant, []).append((s.ua, s.wa, s.f1, s.ece))
    if len(corpora) > 1:
        total = sum(len(corpus.truth) for corpus in corpora.values())
        for variant, values in means.items():
            ua, wa, f1, ece = (float(value) for value in np.mean(values, axis=0))
            table.rows.append([OVERALL, variant, total, ua, None, wa, f1, ece])
    return table


def _agreement(corpora: dict[str, _Corpus], variants: Sequence[str]) -> Table:
    base = variants[0]
    table = Table(
        f"Agreement with {base}",
        [Column("corpus"), Column("variant"), Column("same label", ".1%", "higher"),
         Column("mean Δp", ".4f", "lower"), Column("max Δp", ".3f", "lower"),
         Column("McNemar p", ".3f")],
        note=f"McNemar p: probability of such a difference to {base} if both are right equally "
        "often.",
    )  # fmt: skip
    groups = [(name, [corpus]) for name, corpus in sorted(corpora.items())]
    if len(groups) > 1:
        groups.append(("all clips", [corpus for _, (corpus,) in groups]))
    for variant in variants[1:]:
        for name, members in groups:
            truth = np.concatenate([corpus.truth for corpus in members])
            ours, theirs = (
                np.concatenate([corpus.answers(CLEAN.name, v) for corpus in members])
                for v in (variant, base)
            )
            found, expected = ours.argmax(axis=1), theirs.argmax(axis=1)
            shift = np.abs(ours - theirs)
            table.rows.append(
                [name, variant, float((found == expected).mean()), float(shift.mean()),
                 float(shift.max()), mcnemar(found == truth, expected == truth)]
            )  # fmt: skip
    return table


def _recalls(corpora: dict[str, _Corpus], variants: Sequence[str], labels: Sequence[str]) -> Table:
    used = sorted({label for corpus in corpora.values() for label in corpus.truth})
    table = Table(
        "Recall of each label",
        [Column("corpus"), Column("variant"), *(Column(labels[i], ".2f") for i in used)],
        note="–: the corpus does not have the label.",
    )
    for name, corpus in sorted(corpora.items()):
        for variant in variants:
            found = corpus.answers(CLEAN.name, variant).argmax(axis=1)
            by_label = recalls(np.array(corpus.truth), found)
            table.rows.append([name, variant, *(by_label.get(i) for i in used)])
    return table


def _confusion(corpora: dict[str, _Corpus], variant: str, labels: Sequence[str]) -> Table:
    truth = np.concatenate([corpus.truth for corpus in corpora.values()])
    found = np.concatenate(
        [corpus.answers(CLEAN.name, variant).argmax(axis=1) for corpus in corpora.values()]
    )
    matrix = confusion(truth, found, len(labels))
    rows: list[list[Value]] = [
        [labels[i], *(int(count) for count in matrix[i])]
        for i in range(len(labels))
        if matrix[i].any()
    ]
    columns = [Column("true \\ found"), *(Column(label, "d") for label in labels)]
    return Table(f"Confusion of {variant}, all corpora", columns, rows)


def _degradations(
    corpora: dict[str, _Corpus], degradations: Sequence[Degradation], variants: Sequence[str]
) -> Table:
    table = Table(
        "UA of degraded clips",
        [Column("degradation"), Column("variant"),
         *(Column(name, ".3f", "higher") for name in sorted(corpora)),
         *([Column(OVERALL, ".3f", "higher")] if len(corpora) > 1 else [])],
    )  # fmt: skip
    for degradation in degradations:
        for variant in variants:
            values = []
            for _, corpus in sorted(corpora.items()):
                answers = corpus.answers(degradation.name, variant)
                truth = np.array(corpus.truth)
                values.append(score(truth, answers.argmax(axis=1), answers.max(axis=1)).ua)
            mean = [float(np.mean(values))] if len(corpora) > 1 else []
            table.rows.append([degradation.name, variant, *values, *mean])
    return table


def draw(document: Document) -> bytes:
    """A PNG of the UA with its intervals; raises MissingExtraError without matplotlib."""
    table = document.table("Accuracy")
    corpora = list(dict.fromkeys(str(row[0]) for row in table.rows))
    series: dict[str, list[float | None]] = {}
    intervals: dict[str, list[tuple[float, float]]] = {}
    for row in table.rows:
        ua = float(row[3] or 0)
        low, high = map(float, str(row[4]).split(" to ")) if row[4] else (ua, ua)
        series.setdefault(str(row[1]), []).append(ua)
        intervals.setdefault(str(row[1]), []).append((low, high))
    title = "Unweighted accuracy with 95 % intervals"
    return bars(corpora, series, title, "UA", intervals)
