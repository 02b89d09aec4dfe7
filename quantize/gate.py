"""The gate: how far a variant lies from fp32 on speech, and whether that is near enough."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion2vec_edge.engine.metrics import unweighted_accuracy
from emotion2vec_edge.engine.results.pooling import clip_embedding, clip_scores
from emotion2vec_edge.engine.runtime.model import Model

from .calibration import Clip


@dataclass(frozen=True)
class Limits:
    """What a variant may lose."""

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
    """What a model says about each clip."""

    embeddings: NDArray[np.float32]
    """float32 [clips, dim]."""
    scores: NDArray[np.float32] | None
    """float32 [clips, labels]; None for a model without a head."""


@dataclass(frozen=True)
class Comparison:
    """A variant beside fp32."""

    clips: int
    cosine: float
    """Mean over the clips."""
    agreement: float | None = None
    mean_shift: float | None = None
    max_shift: float | None = None
    ua: float | None = None
    ua_fp32: float | None = None
    wa: float | None = None
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
        """For ``bundle.json``, without what was not measured."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def answers(encoder: Model, clips: Iterable[Clip]) -> Answers:
    """Run a model over clips."""
    embeddings, scores = [], []
    for clip in clips:
        frames, logits = encoder.encode(clip.samples)
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
    known = [i for i, clip in enumerate(clips) if clip.label in labels]
    accuracies: list[float | None] = [None] * 4
    if known:
        truth = np.array([labels.index(str(clips[i].label)) for i in known])
        accuracies = [
            *(unweighted_accuracy(truth, answer[known]) for answer in (found, expected)),
            *(float((truth == answer[known]).mean()) for answer in (found, expected)),
        ]
    return Comparison(
        len(a),
        cosine,
        float((found == expected).mean()),
        float(shift.mean()),
        float(shift.max()),
        *accuracies,
    )
