"""The quality gate: a variant's difference from fp32 on speech, and the limits it must keep."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion2vec_edge.engine.bundle.bundle import Bundle
from emotion2vec_edge.engine.errors import NonFiniteError
from emotion2vec_edge.engine.metrics import unweighted_accuracy, weighted_accuracy
from emotion2vec_edge.engine.results.pooling import clip_embedding, clip_scores
from emotion2vec_edge.engine.runtime.chunking import Chunking
from emotion2vec_edge.engine.runtime.hardware import usable_threads
from emotion2vec_edge.engine.runtime.model import Model
from emotion2vec_edge.engine.runtime.providers import CPU
from emotion2vec_edge.engine.runtime.sequential import SequentialModel
from emotion2vec_edge.engine.runtime.session import SessionConfig

from .calibration import Calibration, Clip
from .rewrites.graph import Graphs


@dataclass(frozen=True)
class Limits:
    """The largest loss of a variant that is accepted."""

    agreement: float = 0.98
    """Least share of clips with the same emotion."""
    mean_shift: float = 0.01
    """Largest mean change of a probability."""
    max_shift: float = 1.0
    """Largest change of any probability."""
    cosine: float = 0.98
    """Least mean cosine of the embeddings."""
    ua_loss: float = 0.01
    """Largest loss of unweighted accuracy, where labels are known."""


@dataclass(frozen=True)
class Answers:
    """The outputs of a model for each clip."""

    embeddings: NDArray[np.float32]
    """float32 [clips, dim]."""
    scores: NDArray[np.float32] | None
    """float32 [clips, labels]; None for a model without a head."""

    def every(self, step: int) -> Answers:
        """The answers to every ``step``-th clip."""
        scores = None if self.scores is None else self.scores[::step]
        return Answers(self.embeddings[::step], scores)


@dataclass(frozen=True)
class Comparison:
    """A variant compared with fp32."""

    clips: int
    cosine: float
    """Cosine of the embeddings, mean over the clips."""
    agreement: float | None = None
    """Share of clips with the same emotion; None without a head."""
    mean_shift: float | None = None
    """Mean change of a probability."""
    max_shift: float | None = None
    """Largest change of a probability."""
    ua: float | None = None
    """Unweighted accuracy; None without labels."""
    ua_fp32: float | None = None
    wa: float | None = None
    """Weighted accuracy; None without labels."""
    wa_fp32: float | None = None

    def failures(self, limits: Limits) -> list[str]:
        """The limits that are not kept, in words; written so that NaN keeps none."""
        checks = [("embedding cosine", self.cosine, ">=", limits.cosine)]
        if self.agreement is not None:
            checks += [
                ("agreement", self.agreement, ">=", limits.agreement),
                ("mean probability shift", self.mean_shift or 0.0, "<=", limits.mean_shift),
                ("max probability shift", self.max_shift or 0.0, "<=", limits.max_shift),
            ]
        if self.ua is not None and self.ua_fp32 is not None:
            checks.append(("UA loss", self.ua_fp32 - self.ua, "<=", limits.ua_loss))
        return [
            f"{name} {value:.4f} (limit {limit:g})"
            for name, value, sense, limit in checks
            if not (value >= limit if sense == ">=" else value <= limit)
        ]

    def to_dict(self) -> dict[str, Any]:
        """The comparison for ``bundle.json``, without values that were not measured."""
        values = dataclasses.asdict(self)
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class QualityGate:
    """The gate of one bundle: fp32's answers to the speech, and the limits."""

    calibration: Calibration
    labels: tuple[str, ...]
    limits: Limits
    bundle: Bundle
    fp32: Answers

    @classmethod
    def for_bundle(cls, bundle: Bundle, calibration: Calibration, limits: Limits) -> QualityGate:
        """Run the fp32 variant of a bundle on the speech."""
        model = _open_model(bundle.graphs("fp32"), bundle)
        labels = tuple(label.id for label in bundle.manifest.labels)
        return cls(calibration, labels, limits, bundle, answers(model, calibration.clips))

    def compare(self, graphs: Graphs, most: int | None = None) -> Comparison:
        """Compare graphs with fp32, on at most so many clips."""
        content = {name: graph.SerializeToString() for name, graph in graphs.items()}
        model = _open_model(content, self.bundle)
        step = 1 if most is None else max(1, len(self.calibration.clips) // most)
        clips = self.calibration.clips[::step]
        try:
            ours = answers(model, clips)
        except NonFiniteError:  # no limit is kept
            return Comparison(len(clips), *[math.nan] * 4)
        return compare(ours, self.fp32.every(step), clips, self.labels)

    def model(self) -> SequentialModel:
        """The fp32 variant on the CPU."""
        return _open_model(self.bundle.graphs("fp32"), self.bundle)

    def failures(self, comparison: Comparison) -> list[str]:
        """The limits that a comparison does not keep, in words."""
        return comparison.failures(self.limits)


def _open_model(graphs: Mapping[str, Path | bytes], bundle: Bundle) -> SequentialModel:
    manifest = bundle.manifest
    chunking = Chunking(block=manifest.architecture.block_seconds)
    sessions = CPU.open_sessions(graphs, SessionConfig(usable_threads()))
    return SequentialModel(*sessions, manifest.audio, chunking, bundle.head())


def answers(model: Model, clips: Iterable[Clip]) -> Answers:
    """Run a model over clips."""
    embeddings, scores = [], []
    for clip in clips:
        frames, logits = model.encode(clip.samples)
        embeddings.append(clip_embedding(frames))
        if logits is not None:
            scores.append(clip_scores(logits))
    return Answers(np.array(embeddings), np.array(scores) if scores else None)


def compare(
    ours: Answers, fp32: Answers, clips: Sequence[Clip], labels: Sequence[str]
) -> Comparison:
    """Compare a variant's answers with those of fp32 on the same clips."""
    a, b = ours.embeddings.astype(np.float64), fp32.embeddings.astype(np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine = float(((a * b).sum(axis=1) / np.maximum(norms, 1e-12)).mean())
    if ours.scores is None or fp32.scores is None:
        return Comparison(len(a), cosine)
    shift = np.abs(ours.scores - fp32.scores)
    found, expected = ours.scores.argmax(axis=1), fp32.scores.argmax(axis=1)
    comparison = Comparison(
        len(a), cosine, float((found == expected).mean()), float(shift.mean()), float(shift.max())
    )
    known = [i for i, clip in enumerate(clips) if clip.label in labels]
    if not known:
        return comparison
    truth = np.array([labels.index(str(clips[i].label)) for i in known])
    return dataclasses.replace(
        comparison,
        ua=unweighted_accuracy(truth, found[known]),
        ua_fp32=unweighted_accuracy(truth, expected[known]),
        wa=weighted_accuracy(truth, found[known]),
        wa_fp32=weighted_accuracy(truth, expected[known]),
    )
