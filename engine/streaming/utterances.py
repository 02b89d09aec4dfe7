"""Audio that arrives in pieces → windows and, beside them, utterances with their emotion.

An utterance is encoded alone as soon as it has ended.
The start of an utterance is known after the shortest speech that counts, and its end after the
pause that divides utterances; both are told then.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..audio.meter import AudioWarning, Meter
from ..audio.types import SAMPLE_RATE, Samples
from ..errors import OptionError
from ..results.decision import REJECTED, decide
from ..results.pooling import clip_scores
from ..runtime.model import Model
from ..settings import SegmentSettings, check_seconds
from ..voice.activity import SileroVoiceActivity
from ..voice.segmenter import Segmenter, SpeechSegment
from .events import StreamEvent
from .pulled import PulledStream, StreamInput
from .stream import MOST_GAP_SECONDS, Stream, StreamWindow


@dataclass(frozen=True)
class UtteranceStart(StreamEvent):
    """Somebody began to speak."""

    event = "utterance.start"

    start: float
    """Seconds from the start of the stream."""
    latency: float
    """Seconds from the arrival of the utterance's first sample to this event."""

    def text(self) -> str:
        """The event in a line for people."""
        return f"speech since {self.start:.1f} s"


@dataclass(frozen=True)
class UtteranceEnd(StreamEvent):
    """An utterance that has ended, and its emotion."""

    event = "utterance.end"

    start: float
    """Seconds from the start of the stream."""
    end: float
    """Seconds from the start of the stream."""
    emotion: str
    """Label id of the highest score; ``unknown`` if it is below ``reject_below``, or in silence."""
    confidence: float
    """The highest score."""
    scores: Mapping[str, float]
    """Probabilities by label id, in the model's order."""
    warnings: tuple[AudioWarning, ...]
    """Reasons why the result is less certain."""
    latency: float
    """Seconds from the arrival of the utterance's last sample to this event, which include the rest
    of the pause that ended it."""
    restricted: bool = False
    """True if only some of the model's labels could be the answer: those that have a score."""

    def text(self) -> str:
        """The event in a line for people."""
        span = f"{self.start:.1f} – {self.end:.1f} s"
        return f"{span:>19}  {self.emotion:<10} {self.confidence:4.0%}"


@dataclass(frozen=True)
class _Known:
    """An event that is known, and not yet told."""

    time: float
    """Seconds from the start of the stream after which it was known."""
    arrived: float
    """Time of arrival of the sample that its latency counts from."""
    first: int
    """Index, in the stream, of the utterance's first sample."""
    samples: Samples | None = None
    """float32 [samples] of an utterance that has ended."""


class TurnStream(PulledStream[StreamWindow | StreamEvent]):
    """A :class:`~.Stream` that also tells of utterances. For one thread at a time.

    :meth:`Recognizer.stream` makes one::

        with recognizer.stream(blocks, turns="vad") as stream:
            for result in stream:
                print(result.to_dict())

    Args:
        windows: the stream of windows, at 16 kHz mono.
        make_segmenter: makes what finds the utterances, again after each gap.
        source: blocks of samples, pulled when the stream is iterated over.
        rate: sample rate in Hz of the samples that are pushed.
        channel: channel to take, from 0; None takes the mean of all.

    Raises:
        InvalidSamplesError: a rate that is not supported.
        MissingExtraError: the detector is not installed.
    """

    def __init__(
        self,
        windows: Stream,
        make_segmenter: Callable[[], Segmenter],
        source: Iterable[ArrayLike] | None = None,
        *,
        rate: int = SAMPLE_RATE,
        channel: int | None = None,
    ) -> None:
        self.windows = windows
        self.source = source
        self._make_segmenter = make_segmenter
        self._input = StreamInput(rate, channel)
        self._known: deque[_Known] = deque()
        self._begin(0)

    def _begin(self, first: int) -> None:
        """Listen from a sample of the stream on."""
        self._segmenter = self._make_segmenter()
        self._base = first
        """Index, in the stream, of the first sample that the segmenter hears."""
        self._count = 0
        """Samples that the segmenter has heard."""
        self._held = np.zeros(0, np.float32)
        """Samples of the utterance that is going on, and those that one may begin with."""
        self._first = 0
        """Index of the first sample that is held, from the segmenter's first."""
        self._told = -1.0
        """Start of the last utterance whose start is known, from the segmenter's first sample."""
        self._arrivals: deque[tuple[int, float]] = deque()
        """Number of samples at each arrival and its time, for the samples that are held."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Label ids of the scores."""
        return self.windows.labels

    @property
    def seconds(self) -> float:
        """Seconds of audio that have arrived."""
        return self.windows.seconds

    def feed(self, samples: ArrayLike, arrived: float | None = None) -> None:
        """Take the next samples without encoding; arguments and errors as :meth:`Stream.feed`."""
        if self._closed:
            raise OptionError("the stream was flushed; begin another one")
        arrived = time.perf_counter() if arrived is None else arrived
        self._hear(self._input.take(samples), arrived)

    def ready(self, newest: int | None = None) -> Iterator[StreamWindow | StreamEvent]:
        """Results in order of the time when they were known, each computed when it is asked for.

        Args:
            newest: number of windows that may wait; older ones are left out, utterances never.
        """
        for window in self.windows.ready(newest):
            yield from self._utterances(window.end)
            yield window
        yield from self._utterances(self.seconds)

    def flush(self) -> list[StreamWindow | StreamEvent]:
        """End the stream: the windows that are left, and the utterance that was going on."""
        if self._closed:
            return []
        results = self._end_audio()
        self._closed = True
        return [*results, *self.windows.flush(), *self._utterances(self.seconds)]

    def gap(self, seconds: float) -> list[StreamWindow | StreamEvent]:
        """Pass over time without audio, which ends an utterance; as :meth:`Stream.gap`."""
        check_seconds("a gap", seconds, 0, MOST_GAP_SECONDS)
        if self._closed:
            raise OptionError("the stream was flushed; begin another one")
        results = self._end_audio()
        before = self.seconds
        results += self.windows.gap(seconds)
        results += self._utterances(before)
        self._begin(round(self.seconds * SAMPLE_RATE))
        return results

    def _end_audio(self) -> list[StreamWindow | StreamEvent]:
        """Hear the last samples, and note the end of the utterance that was going on."""
        self._hear(self._input.restart(), time.perf_counter())
        results = list(self.ready())
        for segment in self._segmenter.flush():
            self._note_end(segment)
        return results

    def _hear(self, samples: Samples, arrived: float) -> None:
        """Pass on samples, and note the starts and the ends of utterances among them."""
        if not len(samples):
            return
        self.windows.feed(samples, arrived)
        segmenter = self._segmenter
        self._held = np.concatenate([self._held, samples])
        self._arrivals.append((self._first + len(self._held), arrived))
        step = segmenter.activity.frame_samples
        for at in range(0, len(samples), step):  # or a start and its end may come at once
            piece = samples[at : at + step]
            self._count += len(piece)
            for segment in segmenter.feed(piece):
                self._note_end(segment)
            start = segmenter.speaking_since
            if start is not None and start > self._told:
                self._told = start
                first = round(start * SAMPLE_RATE)
                self._note(first, first + 1)
        drop = segmenter.needed_from - self._first
        if drop > 0:
            self._held, self._first = self._held[drop:], self._first + drop
            while len(self._arrivals) > 1 and self._arrivals[0][0] < self._first:
                self._arrivals.popleft()

    def _note_end(self, segment: SpeechSegment) -> None:
        samples = self._held[segment.first - self._first : segment.last - self._first].copy()
        self._note(segment.first, segment.last, samples)

    def _note(self, first: int, count: int, samples: Samples | None = None) -> None:
        """Note an event, whose latency counts from the arrival of so many samples."""
        arrived = next(time for reached, time in self._arrivals if reached >= count)
        known = (self._base + self._count) / SAMPLE_RATE
        self._known.append(_Known(known, arrived, self._base + first, samples))

    def _utterances(self, until: float) -> Iterator[StreamEvent]:
        while self._known and self._known[0].time <= until:
            known = self._known.popleft()
            if known.samples is None:
                latency = time.perf_counter() - known.arrived
                yield UtteranceStart(known.time, known.first / SAMPLE_RATE, latency)
            else:
                yield self._encode(known, known.samples)

    def _encode(self, known: _Known, samples: Samples) -> UtteranceEnd:
        windows = self.windows
        meter = Meter()
        meter.add(samples)
        warnings = meter.warnings()
        _, logits = windows.model.encode(samples)
        scores = clip_scores(cast("NDArray[np.float32]", logits))  # there is a head
        emotion, confidence = decide(windows.labels, scores, windows.reject_below)
        silent = any(warning.code == "silent" for warning in warnings)
        return UtteranceEnd(
            time=known.time,
            start=known.first / SAMPLE_RATE,
            end=(known.first + len(samples)) / SAMPLE_RATE,
            emotion=REJECTED if silent else emotion,
            confidence=confidence,
            scores=dict(zip(windows.labels, scores.tolist(), strict=True)),
            warnings=warnings,
            latency=time.perf_counter() - known.arrived,
            restricted=windows.model.head.mask is not None,
        )


def open_stream(
    model: Model,
    labels: Sequence[str],
    source: Iterable[ArrayLike] | None,
    *,
    window: float,
    hop: float,
    rate: int,
    channel: int | None,
    reject_below: float,
    turns: Literal["vad"] | None,
    segments: SegmentSettings | None,
) -> Stream | TurnStream:
    """A stream of windows, or of utterances too; as :meth:`.Recognizer.stream`."""
    if turns is None:
        if segments is not None:
            raise OptionError("segments are rules for utterances; give turns='vad' with them")
        return Stream(
            model, labels, source, window=window, hop=hop, rate=rate, channel=channel,
            reject_below=reject_below,
        )  # fmt: skip
    if turns != "vad":
        raise OptionError(f"turns is {turns!r}; a stream takes 'vad'")
    windows = Stream(model, labels, window=window, hop=hop, reject_below=reject_below)

    def make_segmenter() -> Segmenter:
        return Segmenter(SileroVoiceActivity(), segments)

    return TurnStream(windows, make_segmenter, source, rate=rate, channel=channel)
