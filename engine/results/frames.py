"""The model's output for one recording, gathered stretch by stretch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class FrameCollector:
    """Sums the frame embeddings and keeps the frame logits of one recording.

    Args:
        keep_frames: keep the frame embeddings too.
    """

    def __init__(self, *, keep_frames: bool) -> None:
        self.count = 0
        """Frames so far."""
        self._keep_frames = keep_frames
        self._sum: NDArray[np.float64] = np.zeros(1)
        self._voiced_sum: NDArray[np.float64] = np.zeros(1)
        self._voiced: list[NDArray[np.bool_]] = []
        self._frames: list[NDArray[np.float32]] = []
        self._logits: list[NDArray[np.float32]] = []

    def add(
        self,
        frames: NDArray[np.float32],
        logits: NDArray[np.float32] | None,
        voiced: NDArray[np.bool_] | None = None,
    ) -> None:
        """Add the next stretch.

        Args:
            frames: float32 [frames, dim].
            logits: float32 [frames, labels]; None for a model without a head.
            voiced: True for the frames of speech, bool [frames]; None if all count.
        """
        if voiced is not None:
            self._voiced.append(voiced)
            self._voiced_sum = self._voiced_sum + frames[voiced].sum(axis=0, dtype=np.float64)
        self._sum = self._sum + frames.sum(axis=0, dtype=np.float64)
        self.count += len(frames)
        if self._keep_frames:
            self._frames.append(frames)
        if logits is not None:
            self._logits.append(logits)

    def mean_frame(self) -> NDArray[np.float32]:
        """Mean of the frame embeddings, or of those of speech if there is any: float32 [dim]."""
        voiced = self.voiced()
        if voiced is not None and voiced.any():
            return (self._voiced_sum / np.count_nonzero(voiced)).astype(np.float32)
        return (self._sum / self.count).astype(np.float32)

    def frames(self) -> NDArray[np.float32] | None:
        """All frame embeddings, float32 [frames, dim]; None if they are not kept."""
        return np.concatenate(self._frames) if self._keep_frames else None

    def voiced(self) -> NDArray[np.bool_] | None:
        """True for the frames of speech, bool [frames]; None if all count."""
        return np.concatenate(self._voiced) if self._voiced else None

    def logits(self) -> NDArray[np.float32] | None:
        """All frame logits, float32 [frames, labels]; None for a model without a head."""
        return np.concatenate(self._logits) if self._logits else None
