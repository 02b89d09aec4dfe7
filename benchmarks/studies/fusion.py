"""Fusion on real scores of speech, beside a face and a text that are simulated.

The two other senses are drawn from confusion matrices that are ASSUMED: their accuracy and their
typical confusions are of the size that papers report, but they are of no paper. What is measured is
the fusion, and not those senses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.engine.corpora.labelled import read_corpus
from emotion2vec_edge.engine.embedder import embed_clips
from emotion2vec_edge.engine.embeddings.clips import StoredClip
from emotion2vec_edge.engine.errors import E2VError, OptionError
from emotion2vec_edge.engine.fusion.alignment import AlignedScores
from emotion2vec_edge.engine.fusion.alignment import align as align_scores
from emotion2vec_edge.engine.fusion.modality import ScoredSpan
from emotion2vec_edge.engine.fusion.weights import fit_weights
from emotion2vec_edge.engine.metrics import calibration_error, softmax, unweighted_accuracy
from emotion2vec_edge.engine.progress import Progress, no_progress

from ..instruments.machine import describe
from ..models import model_line
from ..reporting.document import Document
from ..reporting.table import Column, Table
from .settings import StudySettings

MISSING = (0.0, 0.2, 0.4, 0.6)
"""Shares of the spans in which the face, and the text, are missing."""

NOISE = 0.7
"""Standard deviation of the noise in the simulated log-scores, which makes them ill calibrated."""


@dataclass(frozen=True)
class SimulatedSense:
    """A sense that hears a true emotion through a confusion matrix."""

    recall: Mapping[str, float]
    """Share of the spans of each emotion that it names."""
    confused: Mapping[str, str]
    """Emotion that takes half of an emotion's errors; the others share the rest."""

    def matrix(self, labels: tuple[str, ...]) -> NDArray[np.float64]:
        """Probability of each answer (column) for each true label (row): [labels, labels]."""
        known = [label in self.recall for label in labels]
        rows = np.zeros((len(labels), len(labels)))
        for i, label in enumerate(labels):
            recall = self.recall.get(label, 0.0)
            others = [j for j in range(len(labels)) if known[j] and j != i]
            rows[i, others] = (1 - recall) * (0.5 if label in self.confused else 1) / len(others)
            if label in self.confused:
                rows[i, labels.index(self.confused[label])] += (1 - recall) / 2
            if known[i]:
                rows[i, i] += recall
        return np.asarray(rows / rows.sum(axis=1, keepdims=True), np.float64)


FACE = SimulatedSense(
    {"happy": 0.85, "surprised": 0.75, "neutral": 0.65, "angry": 0.6, "sad": 0.55,
     "disgusted": 0.5, "fearful": 0.45},
    {"fearful": "surprised", "sad": "neutral", "disgusted": "angry", "angry": "neutral",
     "neutral": "sad"},
)  # fmt: skip
TEXT = SimulatedSense(
    {"happy": 0.7, "angry": 0.5, "sad": 0.5, "surprised": 0.45, "fearful": 0.4, "disgusted": 0.35,
     "neutral": 0.7},
    {"angry": "neutral", "sad": "neutral", "surprised": "neutral", "disgusted": "angry"},
)  # fmt: skip


def measure(settings: StudySettings, progress: Progress = no_progress) -> Document:
    """Fuse the scores of speech with simulated ones, at several shares of missing scores.

    Args:
        settings: corpora and model.
        progress: receives the clips that are done.

    Raises:
        OptionError: no usable clip; as :func:`read_corpus`.
        ModelError: the model cannot be used.
    """
    recognizer = Recognizer.load(settings.model)
    labels = recognizer.labels
    clips = [c for path in settings.corpora for c in read_corpus(path, settings.split)]
    used = [clip for clip in clips if clip.label in labels and clip.speaker]
    if not used:
        raise OptionError("no clip has a speaker and a label that the model has")
    left_out: list[E2VError] = []
    heard = [item.clip for item in embed_clips(recognizer, used, progress, left_out.append)]
    truth = np.array([labels.index(clip.label or "") for clip in heard])
    table = _compared(heard, truth, labels)
    if left_out:
        table.note += f" {len(left_out)} clips could not be used."
    names = {"corpora": [path.name for path in settings.corpora], "split": settings.split}
    return Document("fusion", names, [model_line(recognizer)], describe(), [table])


def _compared(heard: list[StoredClip], truth: NDArray[np.int64], labels: tuple[str, ...]) -> Table:
    table = Table(
        "Fusion, weights from other speakers",
        [Column("face and text missing", ".0%"), Column("from"), Column("spans", "d"),
         Column("UA", ".3f", "higher"), Column("ECE", ".3f", "lower")],
        note="Speech: real scores. Face and text: simulated from confusion matrices that are "
        "assumed, of no paper. A sense that is missing answers by chance.",
    )  # fmt: skip
    rng = np.random.default_rng(0)
    senses = {
        "face": _simulated(FACE, truth, labels, rng),
        "text": _simulated(TEXT, truth, labels, rng),
    }
    absence = rng.random((len(truth), len(senses)))
    speakers = [clip.voice or "" for clip in heard]
    for missing in MISSING:
        aligned = _aligned(heard, senses, absence < missing, labels)
        for name, scores in _answers(aligned, truth, speakers).items():
            # What is equally likely is decided by chance.
            found = (scores + 1e-9 * rng.random(scores.shape)).argmax(axis=1)
            error = calibration_error(found == truth, scores.max(axis=1))
            ua = unweighted_accuracy(truth, found)
            table.rows.append([missing, name, len(truth), ua, error])
    return table


def _simulated(
    sense: SimulatedSense,
    truth: NDArray[np.int64],
    labels: tuple[str, ...],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Scores of a sense for each span, [spans, labels]; 0 for labels that it does not know."""
    matrix = sense.matrix(labels)
    answers = np.array([rng.choice(len(labels), p=matrix[label]) for label in truth])
    known = np.array([label in sense.recall for label in labels])
    likely = matrix[:, answers].T * known
    noise = np.exp(NOISE * rng.standard_normal(likely.shape))
    scores = likely * noise
    return np.asarray(scores / scores.sum(axis=1, keepdims=True), np.float64)


def _aligned(
    heard: list[StoredClip],
    senses: Mapping[str, NDArray[np.float64]],
    missing: NDArray[np.bool_],
    labels: tuple[str, ...],
) -> AlignedScores:
    """Spans of one second each, the way a user's files would give them."""
    modalities = {
        "speech": [ScoredSpan("speech", n, n + 1, clip.scores) for n, clip in enumerate(heard)]
    }
    for column, (name, scores) in enumerate(senses.items()):
        modalities[name] = [
            ScoredSpan(name, n, n + 1, {
                label: float(score)
                for label, score in zip(labels, scores[n], strict=True) if score > 0
            })
            for n in np.flatnonzero(~missing[:, column]).tolist()
        ]  # fmt: skip
    return align_scores(modalities, labels=labels)


def _answers(
    aligned: AlignedScores, truth: NDArray[np.int64], speakers: list[str]
) -> dict[str, NDArray[np.float64]]:
    """Scores of each way to answer, [spans, labels]."""
    probabilities = softmax(aligned.evidence).astype(np.float64)
    there = aligned.coverage > 0
    uniform = np.full(probabilities.shape[2], 1 / probabilities.shape[2])
    answers = {
        name: np.where(there[:, m, None], probabilities[:, m], uniform)
        for m, name in enumerate(aligned.modalities)
    }
    count = there.sum(axis=1)[:, None]
    answers["mean"] = (probabilities * there[..., None]).sum(axis=1) / count
    largest = (probabilities * there[..., None]).max(axis=1)
    answers["max"] = largest / largest.sum(axis=1, keepdims=True)
    answers["fixed weights"] = softmax(
        (aligned.evidence * there[..., None]).sum(axis=1) / count
    ).astype(np.float64)
    answers["fused"] = fit_weights(aligned, truth, speakers).scores.astype(np.float64)
    return answers
