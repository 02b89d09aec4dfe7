"""The result of one encoder pass, from which every other result is computed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..audio.meter import AudioWarning
from ..audio.normalized import Normalization
from ..bundle.manifest import AudioContract
from ..errors import NoHeadError
from ..settings import HOP_SECONDS, WINDOW_SECONDS, ProviderName
from .decision import REJECTED, decide
from .pooling import clip_scores, pool_windows, window_scores, window_spans
from .timeline import Timeline
from .types import Timings, Utterance


@dataclass(frozen=True, eq=False)
class Encoding:
    """One encoded clip. A second of audio takes 2 KB, its 50 frame logits."""

    mean_frame: NDArray[np.float32] = field(repr=False)
    """float32 [dim]: mean of the frame embeddings."""
    logits: NDArray[np.float32] | None = field(repr=False)
    """float32 [frames, labels], 50 a second; None for a model without a head."""
    frames: NDArray[np.float32] | None = field(repr=False)
    """Frame embeddings, float32 [frames, dim]; None unless requested: 200 to 700 MB an hour."""
    labels: tuple[str, ...]
    """Label ids in the order of the logits."""
    seconds: float
    """Length of the clip, in seconds."""
    outline: NDArray[np.float32] = field(repr=False)
    """Lowest and highest sample of each 20 ms, for plots: float32 [columns, 2]."""
    audio: AudioContract = field(repr=False)
    warnings: tuple[AudioWarning, ...]
    timings: Timings
    normalization: Normalization
    """``whole``: by the statistics of the whole clip; ``running``: of a long pipe, those so far."""
    model: str
    """Name of the model."""
    provider: ProviderName
    """Name of the execution provider that ran it."""
    calibrated: bool = False
    """True if the confidence was calibrated on held-out speech."""
    restricted: bool = False
    """True if only some of the model's labels could be the answer: those that have a score."""
    reject_below: float = 0.0
    """Confidence below which the answer is ``unknown``."""
    voiced: NDArray[np.bool_] | None = field(default=None, repr=False)
    """True for the frames of speech, which alone are pooled: bool [frames]; None if all count."""
    speech_seconds: float | None = None
    """Seconds of speech; None if all frames count."""

    def utterance(self) -> Utterance:
        """The emotion of the whole clip.

        Raises:
            NoHeadError: the model gives embeddings only.
        """
        logits = self._logits()
        if self.voiced is not None and self.voiced.any():
            logits = logits[self.voiced]
        scores = clip_scores(logits)
        emotion, confidence = decide(self.labels, scores, self.reject_below)
        mute = any(warning.code == "no speech" for warning in self.warnings)
        return Utterance(
            emotion=REJECTED if mute else emotion,
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
            restricted=self.restricted,
            speech_seconds=self.speech_seconds,
        )

    def timeline(self, window: float = WINDOW_SECONDS, hop: float = HOP_SECONDS) -> Timeline:
        """Emotions along the clip, from the same pass.

        Args:
            window: seconds of one window, at least one frame (0.02 s).
            hop: seconds between the starts of two windows.

        Raises:
            NoHeadError: the model gives embeddings only.
            OptionError: a window or hop that is out of range.
        """
        logits = self._logits()
        starts, ends = window_spans(self.seconds, window, hop, self.audio)
        scores = window_scores(logits, starts, ends, self.audio)
        voiced = None
        if self.voiced is not None:
            heard = pool_windows(self.voiced[:, None].astype(np.float32), starts, ends, self.audio)
            voiced = heard[:, 0] > 0
        return Timeline(self.labels, starts, ends, scores, self.reject_below, voiced)

    def embedding(self) -> NDArray[np.float32]:
        """float32 [dim]: mean over the frames that count, as FunASR's utterance embedding."""
        return self.mean_frame

    def _logits(self) -> NDArray[np.float32]:
        if self.logits is None:
            raise NoHeadError(
                f"{self.model} has no emotion head, it gives embeddings only "
                "(Encoding.embedding()); for emotions take an emotion2vec+ model"
            )
        return self.logits
