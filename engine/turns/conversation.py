"""A recording with several turns → the emotion of each, encoded alone.

A window that is pooled from one pass over the whole recording hears what was said around it; a turn
that is cut out and normalised by its own statistics does not. The recording is read once, and the
audio of the turns that are open is all that is held of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from itertools import chain

import numpy as np

from ..audio.meter import AudioWarning
from ..audio.recording import Recording
from ..audio.types import LEAST_SAMPLES, SAMPLE_RATE, AudioSource, Samples
from ..errors import (
    AudioReadError,
    AudioTooShortError,
    E2VError,
    InvalidSamplesError,
    MissingExtraError,
    NoHeadError,
    OptionError,
)
from ..pipeline import Pipeline
from ..progress import Progress
from ..results.decision import REJECTED
from ..results.encoding import Encoding
from ..results.types import Conversation, Turn
from ..settings import IntakeSettings, SegmentSettings
from ..voice.track import SpeechTrack
from .baseline import without_baseline
from .cutting import TurnAudio, cut_turns, voiced_turns
from .given import GivenTurn, TurnsSource
from .reader import as_turns

OVERLAP_SECONDS = 0.05
"""Shorter overlaps between two turns are rounding."""


def recognize_turns(
    pipeline: Pipeline,
    source: AudioSource,
    turns: TurnsSource | None,
    rate: int | None,
    intake: IntakeSettings,
    *,
    by_channel: bool,
    segments: SegmentSettings | None,
    baseline: bool,
    embeddings: bool,
    progress: Progress,
) -> Conversation:
    """Read a recording once, or once a channel, and encode its turns; as :meth:`.Recognizer.turns`.

    Args:
        pipeline: the way through the model.
        source: the recording.
        turns: turns, or a file of them; None takes segments of speech.
        rate: sample rate in Hz, for samples.
        intake: the part of the recording that is used.
        by_channel: take segments of speech of each channel by itself.
        segments: the rules for segments.
        baseline: subtract each speaker's own level.
        embeddings: keep the embedding of each turn.
        progress: receives the seconds that were read.
    """
    if not pipeline.labels:
        raise NoHeadError(f"{pipeline.manifest.name} has no emotion head, and turns have emotions")
    _check(turns, intake, by_channel=by_channel, baseline=baseline)
    given = None if turns is None else _within(as_turns(turns), intake)
    with Recording(source, rate, **asdict(intake)) as recording:
        read = _Read(recording)
        unchecked: tuple[AudioWarning, ...] = ()
        if given is not None:
            track, unchecked = _track(segments)
            pieces = cut_turns(read.blocks(), given, recording.name, track)
        elif by_channel:
            pieces = _channel_turns(read, segments)
        else:
            pieces = voiced_turns(read.blocks(), None, segments)
        found = []
        for turn in encode_turns(pipeline, pieces, embeddings=embeddings):
            found.append(turn)
            progress("encoding", read.seconds, None)
        if baseline:
            found = without_baseline(found, pipeline.reject_below)
        return Conversation(
            turns=tuple(in_order(found)),
            seconds=read.seconds,
            labels=pipeline.labels,
            warnings=(*read.warnings(), *unchecked),
            model=pipeline.manifest.name,
            provider=pipeline.provider,
            calibrated=pipeline.calibrated and not baseline,
            restricted=pipeline.restricted,
            baseline=baseline,
        )


def _check(
    turns: TurnsSource | None, intake: IntakeSettings, *, by_channel: bool, baseline: bool
) -> None:
    if by_channel and (turns is not None or intake.channel is not None):
        raise OptionError("by_channel takes all channels; give neither turns nor a channel")
    if baseline and turns is None and not by_channel:
        raise OptionError(
            "a baseline is of each speaker, and voice activity knows none; take turns by channel, "
            "or from a file"
        )


def _within(given: list[GivenTurn], intake: IntakeSettings) -> list[GivenTurn]:
    """Turns of the part of the recording that is used."""
    if not intake.cut or intake.max_seconds is None:
        return given
    return [
        replace(turn, end=min(turn.end, intake.max_seconds))
        for turn in given
        if turn.start < intake.max_seconds
    ]


class _Read:
    """A recording whose seconds are counted while it is read."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.seconds = 0.0
        """Seconds that were read, of the channel that is read now."""

    def blocks(self, channel: int | None = None) -> Iterator[Samples]:
        """As :meth:`.Recording.blocks`."""
        count = 0
        for block in self.recording.blocks(channel):
            count += len(block)
            self.seconds = count / SAMPLE_RATE
            yield block

    def warnings(self) -> tuple[AudioWarning, ...]:
        """Warnings about the recording as a whole; complete after :meth:`blocks`."""
        if not self.recording.was_cut:
            return ()
        message = f"only the first {self.seconds:g} s were taken in (--max-seconds)"
        return (AudioWarning("cut", message),)


def _track(
    settings: SegmentSettings | None,
) -> tuple[SpeechTrack | None, tuple[AudioWarning, ...]]:
    """A track of speech for given turns, or a warning that they are not checked without one."""
    try:
        return SpeechTrack(settings or SegmentSettings()), ()
    except MissingExtraError:
        message = (
            "turns were not checked for speech, and one of noise has an emotion too: pip install "
            "'emotion2vec-edge[vad]'"
        )
        return None, (AudioWarning("unchecked", message),)


def encode_turns(
    pipeline: Pipeline, cut: Iterable[TurnAudio], *, embeddings: bool
) -> Iterator[Turn]:
    """Encode turns alone, several at a time on a GPU.

    Args:
        pipeline: the way through the model.
        cut: turns and their audio; pulled only a few ahead.
        embeddings: keep the embedding of each turn.

    Raises:
        AudioError, ProviderError: a turn cannot be encoded; one too short for the model is
            ``unknown`` with a warning instead.
    """
    waiting: list[tuple[GivenTurn, bool]] = []

    def sources() -> Iterator[Samples]:
        for piece in cut:
            waiting.append((piece.turn, piece.spoken))
            yield piece.samples

    encodings = pipeline.encode_many(
        sources(), SAMPLE_RATE, IntakeSettings(), frames=False, batch_size=None, errors="return"
    )
    for encoding in encodings:
        given, spoken = waiting.pop(0)
        turn = _turn(pipeline, given, encoding, embeddings=embeddings)
        yield turn if spoken else _unspoken(turn)


def _turn(
    pipeline: Pipeline, given: GivenTurn, encoding: Encoding | E2VError, *, embeddings: bool
) -> Turn:
    if isinstance(encoding, AudioTooShortError):
        labels = pipeline.labels
        least = 1000 * LEAST_SAMPLES // SAMPLE_RATE
        warning = AudioWarning("short", f"the model needs at least {least} ms")
        scores = dict.fromkeys(labels, 1 / len(labels))
        return Turn(
            given.start, given.end, given.speaker, given.text, REJECTED, 1 / len(labels), scores,
            (warning,),
        )  # fmt: skip
    if isinstance(encoding, E2VError):
        raise encoding
    utterance = encoding.utterance()
    silent = any(warning.code == "silent" for warning in utterance.warnings)
    return Turn(
        start=given.start,
        end=given.end,
        speaker=given.speaker,
        text=given.text,
        emotion=REJECTED if silent else utterance.emotion,
        confidence=utterance.confidence,
        scores=utterance.scores,
        warnings=utterance.warnings,
        embedding=encoding.embedding() if embeddings else None,
    )


def _unspoken(turn: Turn) -> Turn:
    """A turn without speech: unknown, with a warning unless it is known to be silent."""
    if any(warning.code == "silent" for warning in turn.warnings):
        return turn
    warning = AudioWarning("no speech", "no speech in this turn: music, noise or silence")
    return replace(turn, emotion=REJECTED, warnings=(*turn.warnings, warning))


def in_order(turns: Iterable[Turn]) -> list[Turn]:
    """Turns in order of their start, with a warning where two of them overlap."""
    ordered = sorted(turns, key=lambda turn: (turn.start, turn.end))
    starts = np.array([turn.start for turn in ordered])
    ends = np.array([turn.end for turn in ordered])
    with_earlier = np.maximum.accumulate(ends)[:-1] > starts[1:] + OVERLAP_SECONDS
    with_later = starts[1:] < ends[:-1] - OVERLAP_SECONDS
    overlaps = np.append(False, with_earlier) | np.append(with_later, False)
    warning = AudioWarning("overlap", "another turn lies in the same time: both are in the audio")
    return [
        replace(turn, warnings=(*turn.warnings, warning)) if overlap else turn
        for turn, overlap in zip(ordered, overlaps[: len(ordered)], strict=True)
    ]


def _channel_turns(read: _Read, settings: SegmentSettings | None) -> Iterator[TurnAudio]:
    """Segments of speech of each channel, whose speaker is named after it."""
    recording = read.recording
    if recording.channels == 1:
        raise InvalidSamplesError(
            f"{recording.name}: has one channel, and turns by channel need a speaker on each of "
            "several; take the segments of speech (--turns vad)"
        )
    if not recording.rereadable:
        raise AudioReadError(
            f"{recording.name}: turns by channel read a recording once for each channel, and a "
            "long pipe passes only once; save it to a file"
        )
    return chain.from_iterable(
        voiced_turns(read.blocks(channel), f"channel {channel}", settings)
        for channel in range(recording.channels)
    )
