"""What one encoder pass leaves, and everything that is read off it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .bundle import AudioContract
from .errors import NoHeadError
from .results import AudioWarning, Timeline, Timings, Utterance
from .windows import clip_embedding, clip_scores, pool_windows, softmax, window_spans


@dataclass(frozen=True, eq=False)
class Encoding:
    """One clip after one pass: frame embeddings and frame logits."""

    frames: NDArray[np.float32] = field(repr=False)
    """float32 [frames, dim], 50 a second."""
    logits: NDArray[np.float32] | None = field(repr=False)
    """float32 [frames, labels]; None for a model without a head."""
    labels: tuple[str, ...]
    seconds: float
    audio: AudioContract = field(repr=False)
    warnings: tuple[AudioWarning, ...]
    timings: Timings
    model: str
    provider: str

    def utterance(self) -> Utterance:
        """The emotion of the whole clip.

        Raises:
            NoHeadError: the model gives embeddings only.
        """
        scores = clip_scores(self._logits())
        best = int(scores.argmax())
        return Utterance(
            emotion=self.labels[best],
            confidence=float(scores[best]),
            scores=dict(zip(self.labels, scores.tolist(), strict=True)),
            embedding=self.embedding(),
            seconds=self.seconds,
            warnings=self.warnings,
            timings=self.timings,
            model=self.model,
            provider=self.provider,
        )

    def timeline(self, window: float = 0.1, hop: float = 0.05) -> Timeline:
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
        scores = softmax(pool_windows(logits, starts, ends, self.audio))
        return Timeline(self.labels, starts, ends, scores)

    def embedding(self) -> NDArray[np.float32]:
        """float32 [dim]: mean over the frames, as FunASR's utterance embedding."""
        return clip_embedding(self.frames)

    def _logits(self) -> NDArray[np.float32]:
        if self.logits is None:
            raise NoHeadError(
                f"{self.model} has no emotion head, it gives embeddings only "
                "(Encoding.embedding(), Encoding.frames); for emotions take an emotion2vec+ model"
            )
        return self.logits
