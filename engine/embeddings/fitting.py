"""Fitting of a space on speech, with everything that is chosen chosen on held-out speakers."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bundle.manifest import BundleFile, SameEmotion, SpaceRecord
from ..errors import OptionError
from ..metrics import calibration_error
from ..progress import Progress, no_progress
from ..settings import WHITENING_SHRINKAGE, SpaceName
from .retrieval import Pairs, Retrieval, measure_retrieval, sampled_pairs
from .space import Space, checked_vectors

SHRINKAGES = (0.1, 0.3, 0.6)
SHARES = (0.0, 0.3, 0.5, 0.7, 1.0)
"""Settings of the discriminants that are tried: shrinkage of the covariance, and their share."""

DEFAULT_SHRINKAGE, DEFAULT_SHARE = 0.3, 0.5
"""Settings where too few speakers are held out to judge any."""

FOLDS = 4
MOST_JUDGED = 2_000
"""Clips of a fold that settings are compared on."""
MOST_PAIRS = 20_000
"""Pairs of each kind, in each fold, that the probability of the same emotion is fitted on."""
LEAST_PAIRS = 200
LEAST_CLIPS = 20

NO_FILE = BundleFile("space.npz", 1, "0" * 64)
"""Stands for the file in the record of a space that is not written yet."""


@dataclass(frozen=True, eq=False)
class FitSpeech:
    """Embeddings of the speech that a space is fitted on."""

    vectors: NDArray[np.float32]
    """float32 [clips, dim]."""
    labels: Sequence[str | None]
    """Emotion of each clip, if all are known."""
    speakers: Sequence[str]
    """Speaker of each clip, unique across corpora; the clip's own name if it is not known."""
    corpora: Sequence[str]
    """Corpus of each clip."""
    logits: NDArray[np.float32] | None = None
    """Mean logits of each clip, float32 [clips, labels]; None for a model without a head."""

    def some(self, chosen: NDArray[np.int64]) -> FitSpeech:
        """The speech of the chosen clips alone."""
        return FitSpeech(
            self.vectors[chosen],
            [self.labels[i] for i in chosen],
            [self.speakers[i] for i in chosen],
            [self.corpora[i] for i in chosen],
        )

    @property
    def names(self) -> list[str]:
        """The labels that occur, sorted; none if a clip has no label."""
        return [] if None in self.labels else sorted({str(label) for label in self.labels})

    def truth(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Index of each clip's label: int64 [clips]."""
        return np.array([names.index(label or "") for label in self.labels])


@dataclass(frozen=True, eq=False)
class FittedSpace:
    """A space that was fitted, ready to be written into a bundle."""

    record: SpaceRecord
    arrays: Mapping[str, NDArray[np.float32]] = field(repr=False)

    def space(self) -> Space:
        """The fitted space."""
        own = {name: a for name, a in self.arrays.items() if not name.startswith("emotion")}
        dim = len(self.arrays["mean"])
        same = self.record.same.get("fitted")
        return Space("fitted", dim, own, self.record.share, same)


def fit_space(
    speech: FitSpeech,
    fitted_on: str,
    shrinkage: float | None = None,
    progress: Progress = no_progress,
) -> FittedSpace:
    """Fit a space: discriminants on labelled speech, else a whitening.

    Shrinkage and share of the discriminants are those under which the neighbours of a clip are best
    on speakers, and on corpora, that were held out; the measure is the mean of the neighbours'
    unweighted accuracy and of the mean average precision.

    Args:
        speech: the embeddings.
        fitted_on: the speech in words.
        shrinkage: of the covariance; None takes the best one, or a default without labels.
        progress: receives the settings that were tried.

    Raises:
        OptionError: too little speech, NaN, or fewer than two labels or speakers.
    """
    _check(speech)
    names = speech.names
    if not names:
        chosen = WHITENING_SHRINKAGE if shrinkage is None else shrinkage
        arrays = {**_whitening(speech.vectors, chosen), **_emotion_map(speech)}
        evidence: dict[str, Any] = {"shrinkage": chosen, "clips": len(speech.labels)}
        record = _record(speech, fitted_on, (), 0.0, arrays, {}, evidence)
        return FittedSpace(record, arrays)
    s, share, judged = _chosen(speech, names, shrinkage, progress)
    arrays = {**_discriminants(speech, names, s), **_emotion_map(speech)}
    evidence = {"shrinkage": s, "clips": len(speech.labels), **judged}
    same = _calibrations(speech, names, s, share)
    record = _record(speech, fitted_on, names, share, arrays, same, evidence)
    return FittedSpace(record, arrays)


def _chosen(
    speech: FitSpeech, names: Sequence[str], shrinkage: float | None, progress: Progress
) -> tuple[float, float, dict[str, float]]:
    """Shrinkage and share that are best on held-out speech, and their score beside raw cosine's."""
    folds = list(_folds(speech))
    raw = _mean_score(_held_out(speech, folds, names, None))
    if raw is None:
        return DEFAULT_SHRINKAGE if shrinkage is None else shrinkage, DEFAULT_SHARE, {}
    tried = [
        (s, share) for s in (SHRINKAGES if shrinkage is None else [shrinkage]) for share in SHARES
    ]
    scores = []
    for number, setting in enumerate(tried):
        progress("settings", number, len(tried))
        scores.append(_mean_score(_held_out(speech, folds, names, setting)) or 0.0)
    best = int(np.argmax(scores))
    return *tried[best], {"held_out_score": scores[best], "held_out_score_raw": raw}


def _record(
    speech: FitSpeech,
    fitted_on: str,
    names: Sequence[str],
    share: float,
    arrays: Mapping[str, NDArray[np.float32]],
    same: Mapping[str, SameEmotion],
    evidence: Mapping[str, Any],
) -> SpaceRecord:
    emotions = len(arrays["emotion_bias"]) if "emotion_bias" in arrays else 0
    return SpaceRecord(
        NO_FILE, "lda" if names else "whitening", tuple(names), share, emotions, same, fitted_on,
        tuple(sorted(set(speech.corpora))), evidence,
    )  # fmt: skip


def _check(speech: FitSpeech) -> None:
    checked_vectors(speech.vectors, speech.vectors.shape[-1])
    if len(speech.labels) < LEAST_CLIPS:
        raise OptionError(f"{len(speech.labels)} clips; a space needs at least {LEAST_CLIPS}")
    if not speech.names:
        return
    if len(speech.names) < 2:
        raise OptionError(f"all clips are {speech.names[0]}; a space needs two labels or more")
    if len(set(speech.speakers)) < FOLDS:
        raise OptionError(
            f"{len(set(speech.speakers))} speakers; settings are chosen on held-out ones, which "
            f"takes at least {FOLDS}: name them in a column 'speaker', or leave the labels out"
        )


# The linear algebra.


def _shrunk(centred: NDArray[np.float64], shrinkage: float) -> NDArray[np.float64]:
    """Covariance [dim, dim], drawn towards equal variance in every direction."""
    covariance = centred.T @ centred / len(centred)
    mean_variance = max(float(np.trace(covariance)) / len(covariance), 1e-12)
    shrunk: NDArray[np.float64] = (1 - shrinkage) * covariance
    return shrunk + shrinkage * mean_variance * np.eye(len(covariance))


def _whitening(vectors: NDArray[np.float32], shrinkage: float) -> dict[str, NDArray[np.float32]]:
    values = vectors.astype(np.float64)
    mean = values.mean(axis=0)
    variances, directions = np.linalg.eigh(_shrunk(values - mean, shrinkage))
    whitening = directions / np.sqrt(np.maximum(variances, 1e-12))
    return {"mean": mean.astype(np.float32), "whitening": whitening.astype(np.float32)}


def _discriminants(
    speech: FitSpeech, names: Sequence[str], shrinkage: float
) -> dict[str, NDArray[np.float32]]:
    """Log-odds of the labels under normal distributions with one covariance, labels as likely."""
    values, truth = speech.vectors.astype(np.float64), speech.truth(names)
    mean = values.mean(axis=0)
    means = np.array([values[truth == k].mean(axis=0) for k in range(len(names))])
    weight = np.linalg.solve(_shrunk(values - means[truth], shrinkage), (means - mean).T).T
    bias = -0.5 * ((means - mean) * weight).sum(axis=1)
    arrays = {"mean": mean, "weight": weight, "bias": bias}
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def _emotion_map(speech: FitSpeech) -> dict[str, NDArray[np.float32]]:
    """Linear map from embeddings to the logits of the model, whose head is linear."""
    if speech.logits is None or len(speech.logits) <= speech.vectors.shape[1]:
        return {}
    ones = np.ones((len(speech.vectors), 1))
    solved, *_ = np.linalg.lstsq(np.hstack([speech.vectors, ones]), speech.logits, rcond=None)
    return {
        "emotion_weight": solved[:-1].T.astype(np.float32),
        "emotion_bias": solved[-1].astype(np.float32),
    }


# The choice on held-out speech.


def _folds(speech: FitSpeech) -> Iterator[NDArray[np.bool_]]:
    """True for the clips that are held out: some speakers at a time, then each corpus."""
    digests = np.array([zlib.crc32(speaker.encode()) for speaker in speech.speakers])
    order = {digest: i % FOLDS for i, digest in enumerate(np.unique(digests))}
    fold = np.array([order[digest] for digest in digests])
    yield from (fold == k for k in range(FOLDS))
    corpora = np.array(speech.corpora)
    if len(set(speech.corpora)) > 2:
        yield from (corpora == name for name in np.unique(corpora))


def _held_out(
    speech: FitSpeech,
    folds: Sequence[NDArray[np.bool_]],
    names: Sequence[str],
    setting: tuple[float, float] | None,
) -> Iterator[Retrieval]:
    """Measures of each fold in a space of the others; without a setting, of raw cosine."""
    dim = speech.vectors.shape[1]
    for held in folds:
        space = Space("raw", dim)
        if setting is not None:
            learned = speech.some(np.flatnonzero(~held))
            if len(learned.names) < 2:
                continue
            shrinkage, share = setting
            own = _discriminants(learned, learned.names, shrinkage)
            space = Space("fitted", dim, own, share)
        rows = np.flatnonzero(held)
        judged = speech.some(rows[:: max(1, -(-len(rows) // MOST_JUDGED))])
        vectors = space.transform(judged.vectors)
        measures = measure_retrieval(vectors, judged.truth(names), judged.speakers)
        if measures is not None:
            yield measures


def _mean_score(measures: Iterator[Retrieval]) -> float | None:
    scores = [(m.knn_ua + m.mean_average_precision) / 2 for m in measures]
    return float(np.mean(scores)) if scores else None


# The probability of the same emotion.


def _calibrations(
    speech: FitSpeech, names: Sequence[str], shrinkage: float, share: float
) -> dict[str, SameEmotion]:
    """Calibration of each space, from pairs of speakers that it was not fitted on."""
    rng = np.random.default_rng(0)
    pairs: dict[SpaceName, list[Pairs]] = {}
    dim = speech.vectors.shape[1]
    emotion = _emotion_map(speech)
    for held in list(_folds(speech))[:FOLDS]:
        learned, judged = (speech.some(np.flatnonzero(mask)) for mask in (~held, held))
        if len(learned.names) < 2:
            continue
        own = _discriminants(learned, learned.names, shrinkage)
        spaces = [
            Space("raw", dim),
            Space("fitted", dim, own, share),
        ]
        if emotion:
            arrays = {"weight": emotion["emotion_weight"], "bias": emotion["emotion_bias"]}
            spaces.append(Space("emotion", dim, arrays))
        for space in spaces:
            vectors = space.transform(judged.vectors)
            found = sampled_pairs(vectors, judged.truth(names), judged.speakers, MOST_PAIRS, rng)
            pairs.setdefault(space.name, []).append(found)
    return {
        name: calibrate_pairs(found)
        for name, found in pairs.items()
        if sum(len(own.same) for own in found) >= LEAST_PAIRS
    }


def calibrate_pairs(folds: Sequence[Pairs]) -> SameEmotion:
    """Logistic regression of "same emotion" on the cosine.

    Args:
        folds: pairs, of which half are of one emotion.
    """
    cosines = np.concatenate([pairs.cosines for pairs in folds]).astype(np.float64)
    same = np.concatenate([pairs.same for pairs in folds])
    design = np.stack([cosines, np.ones(len(cosines))], axis=1)
    solution = np.zeros(2)
    for _ in range(50):  # Newton's method; the loss is convex
        likely = 1 / (1 + np.exp(-design @ solution))
        curvature = (design * (likely * (1 - likely))[:, None]).T @ design + 1e-6 * np.eye(2)
        step = np.linalg.solve(curvature, design.T @ (same - likely) - 1e-6 * solution)
        solution += step
        if np.abs(step).max() < 1e-9:
            break
    slope, offset = float(max(solution[0], 0.0)), float(solution[1])
    likely = 1 / (1 + np.exp(-(slope * cosines + offset)))
    confidence = np.maximum(likely, 1 - likely)
    return SameEmotion(slope, offset, calibration_error((likely >= 0.5) == same, confidence))
