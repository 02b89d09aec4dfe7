"""What one encoder pass leaves, and everything that is read off it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..audio.meter import AudioWarning
from ..bundle.manifest import AudioContract
from ..errors import NoHeadError
from ..settings import HOP_SECONDS, WINDOW_SECONDS
from .decision import decide
from .pooling import clip_scores, window_scores, window_spans
from .timeline import Timeline
from .types import Timings, Utterance


@dataclass(frozen=True, eq=False)
class Encoding:
    """One clip after one pass. What is kept of a second of audio is its 50 frame logits, 2 KB."""

    mean_frame: NDArray[np.float32] = field(repr=False)
    """float32 [dim]: mean of the frame embeddings."""
    logits: NDArray[np.float32] | None = field(repr=False)
    """float32 [frames, labels], 50 a second; None for a model without a head."""
    frames: NDArray[np.float32] | None = field(repr=False)
    """Frame embeddings, float32 [frames, dim], where they were asked for: they take 1 to 4 KB each,
    which is 200 to 700 MB an hour."""
    labels: tuple[str, ...]
    seconds: float
    outline: NDArray[np.float32] = field(repr=False)
    """Lowest and highest sample of each 20 ms, for plots: float32 [columns, 2]."""
    audio: AudioContract = field(repr=False)
    warnings: tuple[AudioWarning, ...]
    timings: Timings
    normalization: str
    """``whole``: by the statistics of the whole clip; ``running``: of a long pipe, those so far."""
    model: str
    provider: str
    calibrated: bool = False
    """Whether a temperature fitted on held-out speech makes confidences mean what they say."""
    reject_below: float = 0.0
    """Confidence under which the answer is ``unknown``."""

    def utterance(self) -> Utterance:
        """The emotion of the whole clip.

        Raises:
            NoHeadError: the model gives embeddings only.
        """
        scores = clip_scores(self._logits())
        emotion, confidence = decide(self.labels, scores, self.reject_below)
        return Utterance(
            emotion=emotion,
            confidence=confidence,
            scores=dict(zip(self.labels, scores.tolist(), strict=True)),
            embedding=self.embedding(),
            seconds=self.seconds,
            warnings=self.warnings,
            timings=self.timings,
            normalization=self.normalization,
            model=self.model,
            provider=self.provider,
            calibrated=self.calibrated,
        )

    def timeline(self, window: float = WINDOW_SECONDS, hop: float = HOP_SECONDS) -> Timeline:
        """Emotions along the clip, from the same pass.

        Args:
            window: seconds pooled into one result, at least one frame (0.02 s).
            hop: seconds from one window to the next.

        Raises:
            NoHeadError: the model gives embeddings only.
            OptionError: a window shorter than a frame, a hop that is not positive.
        """
        logits = self._logits()
        starts, ends = window_spans(self.seconds, window, hop, self.audio)
        scores = window_scores(logits, starts, ends, self.audio)
        return Timeline(self.labels, starts, ends, scores, self.reject_below)

    def embedding(self) -> NDArray[np.float32]:
        """float32 [dim]: mean over the frames, as FunASR's utterance embedding."""
        return self.mean_frame

    def _logits(self) -> NDArray[np.float32]:
        if self.logits is None:
            raise NoHeadError(
                f"{self.model} has no emotion head, it gives embeddings only "
                "(Encoding.embedding()); for emotions take an emotion2vec+ model"
            )
        return self.logits
