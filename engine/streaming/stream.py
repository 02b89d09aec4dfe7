"""Audio that arrives in pieces → one result for each window, as soon as the window is complete.

Each window is normalised by its own statistics and encoded exactly as it would be alone. To keep
the front-end's features of the audio that two windows share would save a fifth of the time, but
they depend on the level of the window that they were computed for: on real speech with pauses, 5 %
of the windows then change their label.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..audio.meter import SILENT_DBFS
from ..audio.types import LEAST_SAMPLES, SAMPLE_RATE, Samples
from ..errors import NoHeadError, OptionError
from ..results.decision import decide
from ..results.pooling import clip_scores
from ..results.types import Window
from ..runtime.model import Model
from ..settings import (
    STREAM_HOP_SECONDS,
    STREAM_WINDOW_SECONDS,
    check_seconds,
    check_stream_window,
)
from .pulled import PulledStream, StreamInput

MOST_GAP_SECONDS = 1e9
"""Seconds, 31 years: a source may be away for long."""


@dataclass(frozen=True)
class StreamWindow(Window):
    """The emotion of one window of a stream, whose time starts at 0 s."""

    silent: bool
    """True below −60 dBFS, where there is no emotion to recognize."""
    skipped: int
    """Windows that were left out before this one, to keep up with the audio."""
    latency: float
    """Seconds from the arrival of the window's last sample to its result."""
    restricted: bool = False
    """True if only some of the model's labels could be the answer: those that have a score."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            **super().to_dict(),
            "silent": self.silent,
            "skipped": self.skipped,
            "latency": self.latency,
            "restricted": self.restricted,
        }


class Stream(PulledStream[StreamWindow]):
    """Emotions of a stream, window by window. For one thread at a time.

    :meth:`Recognizer.stream` makes one::

        >>> from emotion2vec_edge.engine import Recognizer, example_recordings, load_audio
        >>> samples = load_audio(example_recordings()[0]).samples
        >>> blocks = (samples[i : i + 1600] for i in range(0, len(samples), 1600))
        >>> with Recognizer.load().stream(blocks, window=2.0, hop=0.5) as stream:
        ...     [window.end for window in stream]
        [2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.3]

    Without ``source``, push the audio as it arrives, and flush at the end.

    Args:
        model: encodes one window at a time.
        labels: label ids in the order of the model's logits.
        source: blocks of samples, pulled when the stream is iterated over.
        window: seconds of one window, at most one chunk of the model.
        hop: seconds between the starts of two windows, at least 0.02. Windows start at multiples
            of it, counted from the start or from the last gap.
        rate: sample rate in Hz of the samples that are pushed.
        channel: channel to take, from 0; None takes the mean of all.
        reject_below: confidence under which the answer is ``unknown``.

    Raises:
        OptionError: a window or hop that is out of range.
        InvalidSamplesError: a rate that is not supported.
        NoHeadError: the model gives embeddings only.
    """

    def __init__(
        self,
        model: Model,
        labels: Sequence[str],
        source: Iterable[ArrayLike] | None = None,
        *,
        window: float = STREAM_WINDOW_SECONDS,
        hop: float = STREAM_HOP_SECONDS,
        rate: int = SAMPLE_RATE,
        channel: int | None = None,
        reject_below: float = 0.0,
    ) -> None:
        check_stream_window(window, hop, model.chunking.seconds)
        if not labels:
            raise NoHeadError("a stream gives emotions, and this model has no emotion head")
        self.model = model
        self.labels = tuple(labels)
        self.source = source
        self.reject_below = reject_below
        self._window = round(window * SAMPLE_RATE)
        self._hop = hop * SAMPLE_RATE
        self._input = StreamInput(rate, channel)
        self._samples = np.zeros(0, np.float32)
        self._first = 0
        """Index, in the stream, of the first sample that is kept."""
        self._arrivals: deque[tuple[int, float]] = deque()
        """Number of samples at each arrival and its time, for the samples that are still needed."""
        self._origin = 0
        """Index of the first sample after the last gap, where the windows are counted from."""
        self._next = 0
        """Number of the next window."""
        self._covered = 0
        """Index after the last sample of the last window."""
        self._skipped = 0

    @property
    def seconds(self) -> float:
        """Seconds of audio that have arrived."""
        return self._end / SAMPLE_RATE

    def feed(self, samples: ArrayLike, arrived: float | None = None) -> None:
        """Take the next samples without encoding; errors as :meth:`push`."""
        if self._closed:
            raise OptionError("the stream was flushed; begin another one")
        block = self._input.take(samples)
        if not len(block):
            return
        self._append(block)
        self._arrivals.append((self._end, time.perf_counter() if arrived is None else arrived))

    def ready(self, newest: int | None = None) -> Iterator[StreamWindow]:
        """The windows that are complete, each encoded when it is asked for.

        Args:
            newest: number of windows that may wait; older ones are left out. None leaves none out.
        """
        while (start := self._start(self._next)) + self._window <= self._end:
            if newest is not None:
                complete = self._complete()
                if complete > newest:
                    self._skipped += complete - newest
                    self._next += complete - newest
                    start = self._start(self._next)
            self._next += 1
            yield self._encode(start, start + self._window)

    def flush(self) -> list[StreamWindow]:
        """End the stream and encode the windows that are left; the last one may be shorter."""
        if self._closed:
            return []
        self._closed = True
        return self._rest()

    def gap(self, seconds: float) -> list[StreamWindow]:
        """Pass over time without audio; no window reaches across it.

        Args:
            seconds: length of the gap. After one of 0 s the audio that follows is still apart from
                the audio before.

        Returns:
            the windows that are left of the audio before, as :meth:`flush` gives them.

        Raises:
            OptionError: the stream was flushed, or the length is out of range.
        """
        check_seconds("a gap", seconds, 0, MOST_GAP_SECONDS)
        if self._closed:
            raise OptionError("the stream was flushed; begin another one")
        windows = self._rest()
        self._first = self._end + round(seconds * SAMPLE_RATE)
        self._samples = np.zeros(0, np.float32)
        self._origin = self._covered = self._first
        self._next = 0
        return windows

    def _rest(self) -> list[StreamWindow]:
        """Encode the windows that are left, to the last sample."""
        self._append(self._input.restart())
        self._arrivals.append((self._end, time.perf_counter()))
        windows = list(self.ready())
        start = self._start(self._next)
        hop = self.model.audio.hop
        left = self._end - max(start, self._covered)
        if left > (hop if self._next else 0) and self._end - start >= LEAST_SAMPLES:
            windows.append(self._encode(start, self._end))
        return windows

    @property
    def _end(self) -> int:
        return self._first + len(self._samples)

    def _append(self, samples: Samples) -> None:
        self._samples = np.concatenate([self._samples, samples])
        needed = self._start(self._next)
        if needed > self._first:  # with gaps between the windows
            drop = min(needed - self._first, len(self._samples))
            self._samples = self._samples[drop:]
            self._first += drop

    def _start(self, number: int) -> int:
        """Index of the first sample of a window, which is that of the nearest frame."""
        frame = self.model.audio.hop
        return self._origin + round(number * self._hop / frame) * frame

    def _complete(self) -> int:
        """Number of complete windows that are not yet encoded."""
        count = 0
        while self._start(self._next + count) + self._window <= self._end:
            count += 1
        return count

    def _encode(self, start: int, end: int) -> StreamWindow:
        samples = self._samples[start - self._first : end - self._first]
        power = float(np.square(samples, dtype=np.float64).mean())
        _, logits = self.model.encode(samples)
        scores = clip_scores(cast("NDArray[np.float32]", logits))  # there is a head
        emotion, confidence = decide(self.labels, scores, self.reject_below)
        while len(self._arrivals) > 1 and self._arrivals[0][0] < end:
            self._arrivals.popleft()
        skipped, self._skipped, self._covered = self._skipped, 0, end
        self._append(np.zeros(0, np.float32))  # drops the samples that no window needs any more
        return StreamWindow(
            start=start / SAMPLE_RATE,
            end=end / SAMPLE_RATE,
            emotion=emotion,
            confidence=confidence,
            scores=dict(zip(self.labels, scores.tolist(), strict=True)),
            silent=power < 10 ** (SILENT_DBFS / 10),
            skipped=skipped,
            latency=time.perf_counter() - self._arrivals[0][1],
            restricted=self.model.head.mask is not None,
        )
