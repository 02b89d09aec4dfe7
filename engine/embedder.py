"""Recordings → embeddings with what is known of each: whole files, turns, windows, or corpora."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from .audio.types import SAMPLE_RATE
from .corpora.labelled import LabelledClip
from .embeddings.clips import StoredClip
from .embeddings.fitting import FitSpeech
from .errors import AudioError, E2VError, OptionError
from .files import printable
from .progress import Progress, no_progress
from .recognizer import Recognizer
from .results.encoding import Encoding
from .results.pooling import pool_windows, window_spans
from .settings import TURN_DETECTIONS, IntakeSettings

LEAST_SCORE = 1e-30
"""Probability whose logarithm stands for that of zero."""


@dataclass(frozen=True, eq=False)
class Embedded:
    """One embedding and what it is of."""

    clip: StoredClip
    vector: NDArray[np.float32] = field(repr=False)
    """float32 [dim]."""


@dataclass(frozen=True)
class EmbedUnit:
    """The stretches of a recording that get an embedding each: the whole of it by default."""

    turns: str | None = None
    """``vad``, ``channels``, or the path of a file of turns; None takes no turns."""
    window: float | None = None
    """Seconds of a window; None takes no windows."""
    hop: float | None = None
    """Seconds between the starts of two windows; None takes the window's length."""


def embed_recordings(
    recognizer: Recognizer, files: Sequence[str], unit: EmbedUnit, intake: IntakeSettings
) -> Generator[list[Embedded] | E2VError, None, None]:
    """Embeddings of each recording in order of time, or the error that it cannot be used for.

    Whole recordings are decoded ahead, and a GPU encodes several together.

    Args:
        recognizer: the model.
        files: paths of the recordings.
        unit: the stretches that get an embedding each.
        intake: the part of a recording that is used.
    """
    if unit != EmbedUnit():
        for file in files:
            try:
                yield _parts(recognizer, file, unit, intake)
            except E2VError as error:
                yield error
        return
    with contextlib.closing(
        recognizer.encode_many(files, errors="return", **asdict(intake))
    ) as results:
        for file, result in zip(files, results, strict=True):
            if isinstance(result, E2VError):
                yield result
            else:
                yield [_whole(StoredClip(printable(file)), result)]


def _parts(
    recognizer: Recognizer, file: str, unit: EmbedUnit, intake: IntakeSettings
) -> list[Embedded]:
    """Embeddings of the turns or windows of a recording."""
    name = printable(file)
    if unit.turns is not None:
        given = None if unit.turns in TURN_DETECTIONS else unit.turns
        conversation = recognizer.turns(
            file, given, by_channel=unit.turns == "channels", embeddings=True, **asdict(intake)
        )
        return [
            Embedded(
                StoredClip(
                    name, round(turn.start, 3), round(turn.end, 3), speaker=turn.speaker,
                    emotion=turn.emotion, confidence=turn.confidence, scores=turn.scores,
                    text=turn.text,
                    warnings=tuple(warning.code for warning in turn.warnings),
                ),
                turn.embedding,
            )
            for turn in conversation
            if turn.embedding is not None
        ]  # fmt: skip
    encoding = recognizer.encode(file, frames=True, **asdict(intake))
    window = unit.window or encoding.seconds
    return list(_windows(name, encoding, window, unit.hop or window))


def embed_clips(
    recognizer: Recognizer,
    clips: Sequence[LabelledClip],
    progress: Progress = no_progress,
    on_failure: Callable[[E2VError], object] | None = None,
) -> Iterator[Embedded]:
    """Embeddings of the clips of a corpus, in order.

    Args:
        recognizer: the model.
        clips: the corpus.
        progress: receives the clips that are done.
        on_failure: receives the error of each clip that cannot be used; None raises it.

    Raises:
        E2VError: a clip cannot be used, and nothing receives the error.
    """
    for number, (clip, result) in enumerate(_encoded(recognizer, clips), 1):
        progress("clips", number, len(clips))
        if isinstance(result, E2VError):
            if on_failure is None:
                raise result
            on_failure(result)
            continue
        stored = StoredClip(
            printable(str(clip.path)), clip.start, clip.end, clip.label, clip.speaker, clip.corpus
        )
        yield _whole(stored, result)


def _encoded(
    recognizer: Recognizer, clips: Sequence[LabelledClip]
) -> Iterator[tuple[LabelledClip, Encoding | E2VError]]:
    """Each clip with its encoding, or its error; whole files are decoded ahead."""
    if all(clip.start is None and clip.end is None for clip in clips):
        paths = [clip.path for clip in clips]
        with contextlib.closing(recognizer.encode_many(paths, errors="return")) as results:
            yield from zip(clips, results, strict=True)
        return
    for clip in clips:
        try:
            yield clip, recognizer.encode(clip.samples(), SAMPLE_RATE)
        except AudioError as error:
            yield clip, error


def fit_speech(embedded: Sequence[Embedded]) -> FitSpeech:
    """Speech to fit a space on.

    Raises:
        OptionError: there is none.
    """
    if not embedded:
        raise OptionError("no recording could be used to fit a space on")
    clips = [item.clip for item in embedded]
    logits = None
    if all(clip.scores for clip in clips):
        likely = np.log(np.maximum([list(clip.scores.values()) for clip in clips], LEAST_SCORE))
        # The mean over the labels makes them those of the head, but for a constant.
        logits = (likely - likely.mean(axis=1, keepdims=True)).astype(np.float32)
    return FitSpeech(
        np.array([item.vector for item in embedded]),
        [clip.label for clip in clips],
        [clip.voice or clip.name for clip in clips],
        [clip.corpus or "" for clip in clips],
        logits,
    )


def _whole(clip: StoredClip, encoding: Encoding) -> Embedded:
    clip = replace(clip, warnings=tuple(warning.code for warning in encoding.warnings))
    if encoding.logits is None:
        return Embedded(clip, encoding.embedding())
    utterance = encoding.utterance()
    answered = replace(
        clip, emotion=utterance.emotion, confidence=utterance.confidence, scores=utterance.scores
    )
    return Embedded(answered, encoding.embedding())


def _windows(name: str, encoding: Encoding, window: float, hop: float) -> Iterator[Embedded]:
    """Mean of the frame embeddings of each window."""
    starts, ends = window_spans(encoding.seconds, window, hop, encoding.audio)
    frames = encoding.frames
    if frames is None:
        return
    vectors = pool_windows(frames, starts, ends, encoding.audio).astype(np.float32)
    answers = list(encoding.timeline(window, hop)) if encoding.logits is not None else []
    for number, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        clip = StoredClip(name, round(start, 3), round(end, 3))
        if answers:
            own = answers[number]
            clip = replace(clip, emotion=own.emotion, confidence=own.confidence, scores=own.scores)
        yield Embedded(clip, vectors[number])
