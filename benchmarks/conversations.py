"""Conversations made of real clips, whose turns, speakers and emotions are therefore known.

A conversation takes the clips of a few speakers of one corpus in turn, with pauses between them
and a room's noise under everything. Where the speech of a clip begins and ends is known from its
level.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from emotion2vec_edge.engine import AudioError
from emotion2vec_edge.engine.audio.types import SAMPLE_RATE, Samples
from emotion2vec_edge.engine.corpora.labelled import LabelledClip

EDGE_DB = 30.0
"""Decibels below the loudest 20 ms of a clip under which its ends are silence."""

LEVEL_DBFS = -23.0
"""Level of each turn, which gives each the same signal-to-noise ratio."""

SHARP_SECONDS = 0.1
SILENT_FRAMES = 3
"""Frames of silence before and after a clip whose ends are known."""

FRAME = SAMPLE_RATE // 50

LEAST_TURN = 0.6
"""Seconds of the shortest turn; clips with less speech are left out."""

NEUTRAL = "neutral"

PAUSES = (0.6, 2.0)
"""Seconds of the shortest and the longest pause between two turns."""


@dataclass(frozen=True)
class TrueTurn:
    """A turn of a made conversation."""

    start: float
    """Start of the clip, in seconds from that of the conversation."""
    end: float
    """End of the clip."""
    speech_start: float
    """Start of its speech."""
    speech_end: float
    """End of its speech."""
    speaker: str
    label: str
    """The true emotion."""
    alone: Samples
    """The clip without noise: float32 [samples] at 16 kHz."""


@dataclass(frozen=True)
class MadeConversation:
    """A conversation and its truth."""

    corpus: str
    samples: Samples
    """float32 [samples] at 16 kHz."""
    turns: tuple[TrueTurn, ...]


def speech_edges(samples: Samples) -> tuple[int, int]:
    """First sample, and that after the last one, within :data:`EDGE_DB` of the loudest frame."""
    whole = len(samples) // FRAME
    frames = samples[: whole * FRAME].reshape(whole, FRAME)
    power = np.square(frames, dtype=np.float64).mean(axis=1)
    loud = np.flatnonzero(power > power.max(initial=0) / 10 ** (EDGE_DB / 10))
    return (int(loud[0]) * FRAME, int(loud[-1] + 1) * FRAME) if len(loud) else (0, 0)


def has_sharp_ends(samples: Samples) -> bool:
    """True if the level tells where the speech of a clip begins and ends.

    Its edges at 20 and at 40 dB below the loudest frame lie within :data:`SHARP_SECONDS`, with
    silence outside of them: a breath, or noise of the room, gives no such edges.
    """
    whole = len(samples) // FRAME
    frames = samples[: whole * FRAME].reshape(whole, FRAME)
    power = np.square(frames, dtype=np.float64).mean(axis=1)
    most = power.max(initial=0)
    inner, outer = (np.flatnonzero(power > most / 10 ** (db / 10)) for db in (20, 40))
    if not len(inner) or outer[0] < SILENT_FRAMES or outer[-1] >= whole - SILENT_FRAMES:
        return False
    late = max(inner[0] - outer[0], outer[-1] - inner[-1]) * FRAME / SAMPLE_RATE
    return bool(late <= SHARP_SECONDS)


def levelled(samples: Samples, edges: tuple[int, int]) -> Samples:
    """A clip whose speech has :data:`LEVEL_DBFS`, or as loud as full scale allows."""
    factor = 10 ** (LEVEL_DBFS / 20) / math.sqrt(_power(samples[slice(*edges)]))
    return (samples * min(factor, 1 / float(np.abs(samples).max()))).astype(np.float32)


def _power(samples: Samples) -> float:
    return float(np.square(samples, dtype=np.float64).mean())


def room_noise(count: int, seed: int) -> Samples:
    """Noise that falls by 3 dB an octave, as of a room, at a power of 1: float32 [count]."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal(count))
    spectrum[0] = 0  # no constant
    spectrum /= np.sqrt(np.maximum(1, np.arange(len(spectrum))))
    noise = np.fft.irfft(spectrum, count)
    return (noise / max(float(noise.std()), 1e-12)).astype(np.float32)


def make_conversation(
    clips: Sequence[LabelledClip], seed: int, snr: float | None
) -> MadeConversation | None:
    """Join clips, with pauses between them and noise under them.

    Args:
        clips: labelled clips of one corpus, in order.
        seed: of the pauses and the noise.
        snr: ratio of the speech to the noise in dB; None leaves digital silence in the pauses.

    Returns:
        the conversation; None if no clip can be used.
    """
    rng = random.Random(seed)  # noqa: S311
    turns: list[TrueTurn] = []
    pieces: list[Samples] = []
    at = 0
    for clip in clips:
        try:
            samples = clip.samples()
        except AudioError:
            continue
        edges = speech_edges(samples)
        if edges[1] - edges[0] < LEAST_TURN * SAMPLE_RATE:
            continue
        alone = levelled(samples, edges)
        pause = round(rng.uniform(*PAUSES) * SAMPLE_RATE)
        pieces += [np.zeros(pause, np.float32), alone]
        start, at = at + pause, at + pause + len(alone)
        speech_start, speech_end = (start + edge for edge in edges)
        turns.append(
            TrueTurn(
                start / SAMPLE_RATE, at / SAMPLE_RATE, speech_start / SAMPLE_RATE,
                speech_end / SAMPLE_RATE, clip.voice or clip.corpus, clip.label or "unknown", alone,
            )
        )  # fmt: skip
    if not turns:
        return None
    joined = np.concatenate([*pieces, np.zeros(round(PAUSES[1] * SAMPLE_RATE), np.float32)])
    if snr is not None:
        scale = 10 ** ((LEVEL_DBFS - snr) / 20)
        joined = joined + scale * room_noise(len(joined), seed)
    return MadeConversation(clips[0].corpus, joined.astype(np.float32), tuple(turns))


def conversations(
    clips: Sequence[LabelledClip], turns: int, snr: float | None, speakers: int = 2
) -> Iterator[MadeConversation]:
    """Conversations of two speakers or more, from all clips of each corpus.

    Args:
        clips: labelled clips of any corpora.
        turns: turns of a conversation.
        snr: as for :func:`make_conversation`.
        speakers: speakers of a conversation.
    """
    by_corpus: dict[str, dict[str, list[LabelledClip]]] = {}
    for clip in clips:
        by_corpus.setdefault(clip.corpus, {}).setdefault(clip.voice or clip.corpus, []).append(clip)
    seed = 0
    for voices in by_corpus.values():
        for own in voices.values():
            random.Random(0).shuffle(own)  # noqa: S311
        names = list(voices)
        for first in range(0, len(names), speakers):
            waiting = [voices[name] for name in names[first : first + speakers]]
            joined = [clip for some in _in_turn(waiting) for clip in some]
            for start in range(0, len(joined), turns):
                seed += 1
                made = make_conversation(joined[start : start + turns], seed, snr)
                if made is not None:
                    yield made


def mostly_neutral(clips: Sequence[LabelledClip], share: float) -> list[LabelledClip]:
    """All neutral clips of each speaker, and as many others as leave them their share.

    Args:
        clips: labelled clips of any corpora.
        share: of neutral clips, over 0, at most 1.
    """
    by_voice: dict[str, list[LabelledClip]] = {}
    for clip in clips:
        by_voice.setdefault(f"{clip.corpus}/{clip.voice}", []).append(clip)
    kept = []
    for own in by_voice.values():
        neutral = [clip for clip in own if clip.label == NEUTRAL]
        others = [clip for clip in own if clip.label != NEUTRAL]
        random.Random(0).shuffle(others)  # noqa: S311
        kept += [*neutral, *others[: round(len(neutral) * (1 - share) / share)]]
    return kept


def _in_turn(voices: Sequence[Sequence[LabelledClip]]) -> Iterator[list[LabelledClip]]:
    """The next clip of each voice, until none has any."""
    for number in range(max(map(len, voices))):
        yield [own[number] for own in voices if number < len(own)]
