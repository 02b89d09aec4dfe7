"""Turns cut out of a recording that passes once: given ones, or segments of speech."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from ..audio.types import SAMPLE_RATE, Samples
from ..errors import TurnFileError
from ..settings import SegmentSettings
from ..voice.activity import VoiceActivity
from ..voice.segmenter import speech_segments
from ..voice.track import SpeechTrack
from .given import GivenTurn

PAST_END_SECONDS = 0.5
"""A turn may end so much after the recording: tools round, and codecs pad."""


@dataclass(frozen=True)
class TurnAudio:
    """A turn that was cut out of its recording."""

    turn: GivenTurn
    samples: Samples
    """float32 [samples], 16 kHz mono."""
    spoken: bool = True
    """False if a detector found no speech in it."""


def voiced_turns(
    blocks: Iterable[Samples],
    speaker: str | None,
    settings: SegmentSettings | None,
    activity: VoiceActivity | None = None,
) -> Iterator[TurnAudio]:
    """Cut a recording into segments of speech; errors as :func:`~.voice.segmenter.speech_segments`.

    Args:
        blocks: float32 [samples] each, 16 kHz mono, in order.
        speaker: who speaks, if that is known.
        settings: the rules for segments.
        activity: the voice activity detector; None takes Silero's.
    """
    for segment, samples in speech_segments(blocks, activity, settings):
        yield TurnAudio(GivenTurn(segment.start, segment.end, speaker), samples)


def cut_turns(
    blocks: Iterable[Samples],
    turns: Sequence[GivenTurn],
    name: str,
    track: SpeechTrack | None = None,
) -> Iterator[TurnAudio]:
    """Cut given turns out of a recording, in order of their ends.

    Args:
        blocks: float32 [samples] each, 16 kHz mono, in order.
        turns: in order of their start; they may overlap.
        name: of the recording, for messages.
        track: hears the recording and says which turns are spoken; None takes all for it.

    Raises:
        TurnFileError: a turn begins or ends after the recording.
    """
    held = np.zeros(0, np.float32)
    first = 0  # index, in the recording, of the first sample that is held
    later = deque(turns)
    begun: list[tuple[float, int, GivenTurn]] = []  # a heap, the turn that ends first in front

    def cut(turn: GivenTurn) -> TurnAudio:
        start, end = (round(time * SAMPLE_RATE) - first for time in (turn.start, turn.end))
        spoken = track is None or track.spoken(turn.start, turn.end)
        return TurnAudio(turn, held[start:end].copy(), spoken)

    for block in blocks:
        if track is not None:
            track.add(block)
        held = np.concatenate([held, block])
        end = (first + len(held)) / SAMPLE_RATE
        while later and later[0].start < end:
            turn = later.popleft()
            heapq.heappush(begun, (turn.end, len(later), turn))
        while begun and begun[0][0] <= end:
            yield cut(heapq.heappop(begun)[2])
        starts = [turn.start for _, _, turn in begun] + [turn.start for turn in islice(later, 1)]
        needed = round(min(starts) * SAMPLE_RATE) if starts else first + len(held)
        drop = min(max(0, needed - first), len(held))
        held, first = held[drop:], first + drop
    end = (first + len(held)) / SAMPLE_RATE
    for turn in [*(turn for _, _, turn in sorted(begun)), *later]:
        if turn.start >= end or turn.end > end + PAST_END_SECONDS:
            raise TurnFileError(f"{name}: {turn.place}, and the recording ends at {end:.2f} s")
        yield cut(replace(turn, end=end))
