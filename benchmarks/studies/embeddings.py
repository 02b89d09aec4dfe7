"""Spaces of a model compared: do the neighbours of a clip, by other speakers, share its emotion?"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.engine.corpora.labelled import read_corpus
from emotion2vec_edge.engine.embedder import embed_clips, fit_speech
from emotion2vec_edge.engine.embeddings.fitting import FitSpeech
from emotion2vec_edge.engine.embeddings.retrieval import measure_retrieval, sampled_pairs
from emotion2vec_edge.engine.embeddings.search import Index
from emotion2vec_edge.engine.embeddings.space import Space
from emotion2vec_edge.engine.errors import E2VError, NoSpaceError, OptionError
from emotion2vec_edge.engine.metrics import calibration_error
from emotion2vec_edge.engine.progress import Progress, no_progress
from emotion2vec_edge.engine.settings import SpaceName

from ..instruments.machine import describe
from ..models import model_line
from ..reporting.document import Document
from ..reporting.table import Column, Table
from .settings import StudySettings

KNOWN = "corpora of the fit"
OTHERS = "other corpora"
ALL = "all corpora"
BY_SPEAKER = "fitted, by speaker"
MOST_PAIRS = 50_000
"""Pairs of each kind that a probability is checked on."""

SEARCHED = 1_000_000
SEARCH_ROUNDS = 20


@dataclass(frozen=True)
class EmbeddingSettings(StudySettings):
    """Labelled speech, and the model whose spaces are compared on it."""

    speed: bool = False
    """Time the search too."""


def measure(settings: EmbeddingSettings, progress: Progress = no_progress) -> Document:
    """Compare the spaces of a model on labelled speech, and time the search.

    Args:
        settings: corpora and model.
        progress: receives the clips that are done.

    Raises:
        OptionError: no usable clip; as :func:`read_corpus`.
        ModelError: the model cannot be used.
    """
    recognizer = Recognizer.load(settings.model)
    tables = []
    if settings.corpora:
        clips = [c for path in settings.corpora for c in read_corpus(path, settings.split)]
        left_out: list[E2VError] = []
        labelled = [clip for clip in clips if clip.label is not None and clip.speaker]
        if not labelled:
            raise OptionError("no clip has a label and a speaker, which neighbours are judged by")
        speech = fit_speech(list(embed_clips(recognizer, labelled, progress, left_out.append)))
        spaces = _spaces(recognizer)
        record = recognizer.bundle.manifest.space
        known = frozenset() if record is None else frozenset(record.corpora)
        tables = [_retrieval(speech, spaces, known), _probabilities(speech, spaces, known)]
        if left_out:
            tables[0].note += f" {len(left_out)} clips could not be used."
    if settings.speed:
        tables.append(_speed(recognizer.bundle.manifest.architecture.embed_dim, progress))
    used = {"corpora": [path.name for path in settings.corpora], "split": settings.split}
    return Document("embeddings", used, [model_line(recognizer)], describe(), tables)


def _spaces(recognizer: Recognizer) -> dict[SpaceName, Space]:
    found: dict[SpaceName, Space] = {}
    names: tuple[SpaceName, ...] = ("raw", "fitted", "emotion")
    for name in names:
        try:
            found[name] = Space.of(recognizer.bundle, name)
        except NoSpaceError:
            continue
    return found


def _groups(
    speech: FitSpeech, known: frozenset[str]
) -> Iterator[tuple[str, str, NDArray[np.int64]]]:
    """Name of each group of clips, who are no neighbours, and the clips."""
    corpora = np.array(speech.corpora)
    names = np.unique(corpora).tolist()
    inside = np.isin(corpora, list(known))
    if inside.any():
        yield KNOWN, "speaker", np.flatnonzero(inside)
    for name in names:
        yield name, "speaker", np.flatnonzero(corpora == name)
    if len(names) > 1:
        yield ALL, "speaker", np.arange(len(corpora))
        yield ALL, "corpus", np.arange(len(corpora))


def _transformed(
    spaces: Mapping[SpaceName, Space], speech: FitSpeech
) -> dict[str, NDArray[np.float32]]:
    vectors: dict[str, NDArray[np.float32]] = {
        name: space.transform(speech.vectors) for name, space in spaces.items()
    }
    if "fitted" in spaces:
        vectors[BY_SPEAKER] = spaces["fitted"].transform(speech.vectors, speech.speakers)
    return vectors


def _retrieval(
    speech: FitSpeech, spaces: Mapping[SpaceName, Space], known: frozenset[str]
) -> Table:
    table = Table(
        "Neighbours",
        [Column("clips of"), Column("no neighbours"), Column("space"), Column("clips", "d"),
         Column("kNN UA", ".3f", "higher"), Column("mAP", ".3f", "higher"),
         Column("EER", ".3f", "lower")],
        note="No neighbours: clips of the same speaker, or of the same corpus. By speaker: after "
        "the mean of each speaker's clips was taken away.",
    )  # fmt: skip
    vectors = _transformed(spaces, speech)
    truth = speech.truth(speech.names)
    for group, excluded, rows in _groups(speech, known):
        by = speech.speakers if excluded == "speaker" else speech.corpora
        apart = [by[i] for i in rows.tolist()]
        for name, own in vectors.items():
            found = measure_retrieval(own[rows], truth[rows], apart)
            if found is not None:
                table.rows.append(
                    [group, f"same {excluded}", name, found.clips, found.knn_ua,
                     found.mean_average_precision, found.equal_error_rate]
                )  # fmt: skip
    return table


def _probabilities(
    speech: FitSpeech, spaces: Mapping[SpaceName, Space], known: frozenset[str]
) -> Table:
    table = Table(
        "Probability of the same emotion",
        [Column("clips of"), Column("space"), Column("pairs", "d"),
         Column("right", ".1%", "higher"), Column("ECE", ".3f", "lower")],
        note="Pairs of different speakers, half of them of one emotion.",
    )  # fmt: skip
    truth = speech.truth(speech.names)
    inside = np.isin(speech.corpora, list(known))
    for group, chosen in ((KNOWN, inside), (OTHERS, ~inside)):
        rows = np.flatnonzero(chosen)
        speakers = [speech.speakers[i] for i in rows.tolist()]
        for name, space in spaces.items():
            if space.same is None or len(set(speakers)) < 2:
                continue
            rng = np.random.default_rng(0)
            vectors = space.transform(speech.vectors[rows])
            pairs = sampled_pairs(vectors, truth[rows], speakers, MOST_PAIRS, rng)
            if not len(pairs.same):
                continue
            odds = space.same.slope * pairs.cosines + space.same.offset
            likely = 1 / (1 + np.exp(-odds.astype(np.float64)))
            right = (likely >= 0.5) == pairs.same
            error = calibration_error(right, np.maximum(likely, 1 - likely))
            table.rows.append([group, name, len(pairs.same), float(right.mean()), error])
    return table


def _speed(dim: int, progress: Progress) -> Table:
    rng = np.random.default_rng(0)
    progress(f"search among {SEARCHED:,} × {dim}")
    index = Index(rng.standard_normal((SEARCHED, dim), np.float32))
    queries = rng.standard_normal((SEARCH_ROUNDS + 1, dim), np.float32)
    seconds = []
    for query in queries:
        started = time.perf_counter()
        index.nearest(query, 10)
        seconds.append(time.perf_counter() - started)
    median, slowest = float(np.median(seconds[1:])), float(np.max(seconds[1:]))
    return Table(
        "Exact search",
        [Column("vectors", "d"), Column("size", "d"), Column("found", "d"),
         Column("median ms", ".1f", "lower"), Column("slowest ms", ".1f", "lower")],
        [[SEARCHED, dim, 10, 1000 * median, 1000 * slowest]],
    )  # fmt: skip
