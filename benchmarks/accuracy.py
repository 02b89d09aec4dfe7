"""``e2v bench accuracy``: how right the variants of a model are on labelled speech.

UA is the mean recall over the labels that a corpus has, from the argmax over ALL labels of the
model. Clips whose label the model does not have are left out, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion2vec_edge.engine import AudioError, Recognizer
from emotion2vec_edge.engine.audio.types import LEAST_SAMPLES, SAMPLE_RATE
from emotion2vec_edge.engine.corpora.labelled import LabelledClip, read_corpus
from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.metrics import confusion, mcnemar, recalls, score

from .degradations import CLEAN, Condition
from .document import Column, Document, Table, Value, bars
from .machine import describe
from .models import model_line

OVERALL = "mean of all"


@dataclass
class _Corpus:
    """Truth and answers on the clips of one corpus."""

    truth: list[int] = field(default_factory=list)
    scores: dict[tuple[str, str], list[NDArray[np.float32]]] = field(default_factory=dict)
    """By condition and variant: float32 [labels] of each clip."""

    def answers(self, condition: str, variant: str) -> NDArray[np.float32]:
        return np.array(self.scores[condition, variant])


def measure(
    paths: Sequence[Path],
    model: str | None,
    variants: Sequence[str],
    split: str | None,
    conditions: Sequence[Condition] = (),
    most: int | None = None,
    progress: Callable[[list[LabelledClip]], Iterable[LabelledClip]] = lambda clips: clips,
) -> Document:
    """Run every variant over every clip, clean and under each condition.

    Args:
        paths: corpora, as :func:`~emotion2vec_edge.engine.corpora.labelled.read_corpus` takes them.
        model: path or name of a bundle; None takes the default.
        variants: precisions; the first is what the others are compared with.
        split: the split of a manifest; None takes all.
        conditions: what else is done to the clips.
        most: take at most so many clips of a corpus, spread evenly.
        progress: wraps the clips, to show how far it is.

    Raises:
        OptionError: no usable clip; as :func:`read_corpus`.
        ModelError: the model cannot be used.
    """
    machine = describe()
    recognizers = {name: Recognizer.load(model, precision=name) for name in variants}
    first = next(iter(recognizers.values()))
    index = {label: number for number, label in enumerate(first.labels)}
    clips = [clip for path in paths for clip in _some(read_corpus(path, split), most)]
    corpora: dict[str, _Corpus] = {}
    left_out: Counter[str] = Counter()
    everything = [CLEAN, *conditions]
    for clip in progress(clips):
        if clip.label not in index:
            left_out[f"label {clip.label!r}, which the model does not have"] += 1
            continue
        try:
            samples = clip.samples()
        except AudioError as error:
            left_out[f"{type(error).__name__}"] += 1
            continue
        if len(samples) < LEAST_SAMPLES:
            left_out["shorter than 25 ms"] += 1
            continue
        corpus = corpora.setdefault(clip.corpus, _Corpus())
        corpus.truth.append(index[clip.label])
        for condition in everything:
            heard = condition.apply(samples)
            for name, recognizer in recognizers.items():
                scores = recognizer.recognize(heard, SAMPLE_RATE).scores
                answer = np.fromiter(scores.values(), np.float32)
                corpus.scores.setdefault((condition.name, name), []).append(answer)
    if not corpora:
        raise OptionError(f"no clip could be used; left out: {dict(left_out)}")
    document = Document(
        "accuracy",
        {
            "corpora": [path.name for path in paths],
            "variants": list(variants),
            "split": split,
            "conditions": [condition.name for condition in everything],
        },
        [model_line(first)],
        machine,
        draw=draw,
    )
    note = "; ".join(f"{count} clips left out: {why}" for why, count in left_out.items())
    document.tables = [
        _accuracy(corpora, CLEAN.name, variants, note),
        *([_agreement(corpora, variants)] if len(variants) > 1 else []),
        _recalls(corpora, variants, first.labels),
        _confusion(corpora, variants[-1], first.labels),
        *([_conditions(corpora, everything, variants)] if conditions else []),
    ]
    return document


def _some(clips: list[LabelledClip], most: int | None) -> list[LabelledClip]:
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


def _accuracy(
    corpora: dict[str, _Corpus], condition: str, variants: Sequence[str], note: str
) -> Table:
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
            answers = corpus.answers(condition, variant)
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
        note=f"McNemar p: how likely such a difference to {base} is if both are right equally "
        "often.",
    )  # fmt: skip
    joined = dict(sorted(corpora.items()))
    for variant in variants[1:]:
        parts = []
        for name, corpus in joined.items():
            ours, theirs = (corpus.answers(CLEAN.name, v) for v in (variant, base))
            parts.append((name, ours, theirs, np.array(corpus.truth)))
        if len(parts) > 1:
            ours, theirs, truth = (np.concatenate([part[i] for part in parts]) for i in (1, 2, 3))
            parts.append(("all clips", ours, theirs, truth))
        for name, ours, theirs, truth in parts:
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


def _conditions(
    corpora: dict[str, _Corpus], conditions: Sequence[Condition], variants: Sequence[str]
) -> Table:
    table = Table(
        "UA under other conditions",
        [Column("condition"), Column("variant"),
         *(Column(name, ".3f", "higher") for name in sorted(corpora)),
         *([Column(OVERALL, ".3f", "higher")] if len(corpora) > 1 else [])],
    )  # fmt: skip
    for condition in conditions:
        for variant in variants:
            values = []
            for _, corpus in sorted(corpora.items()):
                answers = corpus.answers(condition.name, variant)
                truth = np.array(corpus.truth)
                values.append(score(truth, answers.argmax(axis=1), answers.max(axis=1)).ua)
            mean = [float(np.mean(values))] if len(corpora) > 1 else []
            table.rows.append([condition.name, variant, *values, *mean])
    return table


def draw(document: Document) -> bytes:
    """A PNG; raises MissingExtraError where matplotlib is not installed."""
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
