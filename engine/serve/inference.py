"""One thread that runs the model, and work that takes turns in it.

The encoder is the bottleneck, and several passes at once are slower than one after the other. So
every request has its own view of the model, whose passes all run in one thread, a stretch of at
most one chunk at a time: live windows come first, then requests, then jobs.
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..audio.types import Samples
from ..bundle.head import Head, label_mask
from ..errors import OverloadedError, TimeBudgetError, WithdrawnError
from ..recognizer import Recognizer
from ..runtime.model import Frames, Logits, Model
from .settings import BUDGET_FACTOR, BUDGET_SECONDS

T = TypeVar("T")


class Priority(IntEnum):
    """Order in which waiting work gets the model."""

    LIVE = 0
    REQUEST = 1
    JOB = 2
    END = 3


@dataclass(eq=False)
class Work:
    """One request on its way through the model. Threads share it."""

    priority: Priority
    budget: bool = True
    """True if it must end within its time budget."""
    arrived: float = field(default_factory=time.monotonic)
    """Time of :func:`time.monotonic`."""
    queue_seconds: float = 0.0
    """Seconds of waiting for a thread."""
    inference_seconds: float = 0.0
    """Seconds of the model."""
    audio_seconds: float = 0.0
    """Seconds of audio that were encoded."""
    total_seconds: float | None = None
    """Seconds of audio that there are; None if it is not known."""
    withdrawn: bool = False
    """True if nobody waits for the result any more."""

    def withdraw(self) -> None:
        """End the work at its next step."""
        self.withdrawn = True

    def check(self) -> None:
        """End the work if nobody waits for it, or if its time is up.

        Raises:
            WithdrawnError: its client went away, or cancelled it.
            TimeBudgetError: it took longer than :data:`BUDGET_SECONDS`, and longer than
                :data:`BUDGET_FACTOR` times its audio.
        """
        if self.withdrawn:
            raise WithdrawnError("the request was withdrawn")
        known = max(self.audio_seconds, self.total_seconds or 0.0)
        budget = max(BUDGET_SECONDS, BUDGET_FACTOR * known)
        if self.budget and time.monotonic() - self.arrived > budget:
            raise TimeBudgetError(
                f"not done within {budget:.0f} s: this machine does not keep up; send shorter "
                "recordings, or make a job of it (POST /v1/jobs)"
            )

    def progress(self, _step: str, done: float = 0, total: float | None = None, /) -> None:
        """Take the seconds of audio that are encoded; errors as :meth:`check`."""
        self.audio_seconds = done
        self.total_seconds = total
        self.check()


@dataclass(order=True)
class _Step:
    priority: int
    number: int
    function: Callable[[], Any] = field(compare=False)
    work: Work | None = field(compare=False)
    result: Future[Any] = field(compare=False, default_factory=Future)


class InferenceThread:
    """Runs steps of the model one after the other, by priority. A context manager.

    Args:
        observe: receives the seconds of each step.
    """

    def __init__(self, observe: Callable[[float], object] = lambda _: None) -> None:
        self._observe = observe
        self._steps: queue.PriorityQueue[_Step] = queue.PriorityQueue()
        self._numbers = itertools.count()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="inference", daemon=True)
        self._thread.start()

    @property
    def depth(self) -> int:
        """Number of steps that wait."""
        return self._steps.qsize()

    def run(self, work: Work, function: Callable[[], T]) -> T:
        """Run a step in the thread, and wait for it; raises whatever it raises.

        Raises:
            WithdrawnError, TimeBudgetError: see :meth:`Work.check`.
            OverloadedError: the thread has ended.
        """
        work.check()
        step = _Step(work.priority, next(self._numbers), function, work)
        with self._closing:
            if self._closed:
                raise OverloadedError("the service ends")
            self._steps.put(step)
        result: T = step.result.result()
        return result

    def close(self) -> None:
        """End the thread after the step that runs; what waits is refused."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._steps.put(_Step(-1, next(self._numbers), lambda: None, None))
        self._thread.join()

    def __enter__(self) -> InferenceThread:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve(self) -> None:
        while (step := self._steps.get()).work is not None:
            try:
                step.work.check()
                started = time.perf_counter()
                result = step.function()
                seconds = time.perf_counter() - started
                step.work.inference_seconds += seconds
                self._observe(seconds)
                step.result.set_result(result)
            except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
                step.result.set_exception(error)
            del step
        while not self._steps.empty():
            self._steps.get().result.set_exception(OverloadedError("the service ends"))


@dataclass(frozen=True, eq=False)
class SharedModel(Model):
    """One request's view of the model: its passes run in the inference thread."""

    inner: Model
    thread: InferenceThread
    work: Work
    head: Head
    """The model's head, and the labels that the request allows."""
    columns: Any = None
    """Logits that the request's labels have, bool [labels]; None for all."""

    @property
    def audio(self) -> Any:  # type: ignore[override]
        """The audio that the model takes."""
        return self.inner.audio

    @property
    def chunking(self) -> Any:  # type: ignore[override]
        """Division of long audio for the encoder."""
        return self.inner.chunking

    @property
    def batch_size(self) -> int:  # type: ignore[override]
        """Recordings that are encoded together by default, at most."""
        return self.inner.batch_size

    def pieces_of(self, clips: Sequence[Iterable[Samples]]) -> Iterator[tuple[int, Frames, Logits]]:
        """As :meth:`.Model.pieces_of`; others may have the model between two pieces."""
        pieces = self.inner.pieces_of(clips)
        step = partial(next, pieces, None)
        while (piece := self.thread.run(self.work, step)) is not None:
            number, frames, logits = piece
            if logits is not None and self.columns is not None:
                logits = logits[:, self.columns]
            yield number, frames, logits

    def end_profiling(self) -> list[Path]:
        """As :meth:`.Model.end_profiling`."""
        return self.inner.end_profiling()

    def lengths(self) -> tuple[int, ...]:
        """As :meth:`.Model.lengths`."""
        return self.inner.lengths()

    def remark(self, seconds: float) -> str | None:
        """As :meth:`.Model.remark`."""
        return self.inner.remark(seconds)


def shared(
    recognizer: Recognizer,
    thread: InferenceThread,
    work: Work,
    *,
    labels: Sequence[str] | None = None,
    reject_below: float | None = None,
) -> Recognizer:
    """A recognizer for one request, whose model runs in the inference thread.

    Args:
        recognizer: the one that was loaded.
        thread: runs its model.
        work: the request.
        labels: label ids that may be the answer; None takes those of the recognizer.
        reject_below: confidence under which the answer is ``unknown``; None takes the recognizer's.

    Raises:
        OptionError: a label that the recognizer does not have, or fewer than two.
        NoHeadError: labels, and the model has none.
    """
    inner = recognizer.encoder
    head = inner.head
    mask = label_mask(labels, recognizer.labels, recognizer.bundle.manifest.name)
    columns = None
    if mask is not None:
        columns = np.array(mask)
        allowed = [label for label, kept in zip(recognizer.labels, mask, strict=True) if kept]
        every = [label.id for label in recognizer.bundle.manifest.labels]
        head = replace(head, mask=tuple(label in allowed for label in every))
    model = SharedModel(inner, thread, work, head, columns)
    limit = recognizer.reject_below if reject_below is None else reject_below
    return replace(recognizer, encoder=model, reject_below=limit)
