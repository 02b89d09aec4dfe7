"""The one thread that runs the model."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ...audio.types import Samples
from ...errors import OverloadedError
from ...runtime.model import Frames, Logits, Model
from .work import Work

T = TypeVar("T")

Clip = Sequence[Samples]
"""A short clip as blocks."""
Piece = tuple[int, Frames, Logits]
"""Number of a clip, and frames and logits of its next stretch."""


@dataclass(order=True)
class _Step:
    """Something to do in the thread, once all that comes before it is done."""

    due: float
    """Time of :func:`time.monotonic`; the earliest is next."""
    number: int
    work: Work = field(compare=False)
    function: Callable[[], Any] = field(compare=False)
    """Gives the result, if the step is done alone."""
    model: Model | None = field(compare=False, default=None)
    """Model of the clips, if they may go together with those of other steps."""
    clips: Sequence[Clip] = field(compare=False, default=())
    result: Future[Any] = field(compare=False, default_factory=Future)


class InferenceThread:
    """Runs steps of the model one after the other, live ones first. A context manager.

    Args:
        observe: receives the seconds of each step.
    """

    def __init__(self, observe: Callable[[float], object] = lambda _: None) -> None:
        self._observe = observe
        self._steps: list[_Step] = []
        """Steps that wait, as a heap: the next one first."""
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="inference", daemon=True)
        self._thread.start()

    @property
    def depth(self) -> int:
        """Number of steps that wait."""
        return len(self._steps)

    def run(self, work: Work, function: Callable[[], T]) -> T:
        """Run a step in the thread, and wait for it; raises whatever it raises.

        Raises:
            WithdrawnError, TimeBudgetError: see :meth:`.Work.check`.
            OverloadedError: the thread has ended.
        """
        result: T = self._waited(_Step(_due(work), next(self._numbers), work, function))
        return result

    def run_together(self, work: Work, model: Model, clips: Sequence[Clip]) -> list[Piece]:
        """Run a model over short clips, with those of others that wait; errors as :meth:`run`.

        Args:
            work: the request.
            model: takes ``batch_size`` clips together.
            clips: its clips, as :meth:`.Model.pieces_of` takes them.

        Returns:
            the pieces of all clips.
        """

        def alone() -> list[Piece]:
            return list(model.pieces_of(clips))

        step = _Step(_due(work), next(self._numbers), work, alone, model, clips)
        pieces: list[Piece] = self._waited(step)
        return pieces

    def close(self) -> None:
        """End the thread after the step that runs; what waits is refused."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def __enter__(self) -> InferenceThread:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _waited(self, step: _Step) -> Any:
        step.work.check()
        with self._changed:
            if self._closed:
                raise OverloadedError("the service ends")
            heapq.heappush(self._steps, step)
            self._changed.notify_all()
        return step.result.result()

    def _serve(self) -> None:
        while group := self._take():
            self._run(group)
            del group
        for step in self._steps:
            step.result.set_exception(OverloadedError("the service ends"))
        self._steps.clear()

    def _take(self) -> list[_Step]:
        """The next step, and those whose clips fit into one batch with its own; none at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._steps or self._closed)
            if self._closed:
                return []
            group = [heapq.heappop(self._steps)]
            model = group[0].model
            if model is not None:
                room = model.batch_size - len(group[0].clips)
                for step in sorted(self._steps):
                    if step.model is model and len(step.clips) <= room:
                        room -= len(step.clips)
                        self._steps.remove(step)
                        group.append(step)
                heapq.heapify(self._steps)
            return group

    def _run(self, group: list[_Step]) -> None:
        """Run steps together and, if that fails, each alone."""
        ready = []
        for step in group:
            try:
                step.work.check()
                ready.append(step)
            except Exception as error:  # noqa: BLE001 - raised in the thread that waits
                step.result.set_exception(error)
        if len(ready) > 1 and self._run_together(ready):
            return
        for step in ready:
            started = time.perf_counter()
            try:
                result = step.function()
            except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
                step.result.set_exception(error)
                continue
            self._note([step], time.perf_counter() - started)
            step.result.set_result(result)

    def _run_together(self, steps: Sequence[_Step]) -> bool:
        """Run the clips of several steps in one go; False if that fails."""
        owners = [(step, number) for step in steps for number in range(len(step.clips))]
        pieces: dict[int, list[Piece]] = {step.number: [] for step in steps}
        model = steps[0].model
        started = time.perf_counter()
        try:
            if model is not None:
                together = [clip for step in steps for clip in step.clips]
                for index, frames, logits in model.pieces_of(together):
                    step, number = owners[index]
                    pieces[step.number].append((number, frames, logits))
        except Exception:  # noqa: BLE001 - whatever causes it is raised when it runs alone
            return False
        self._note(steps, time.perf_counter() - started)
        for step in steps:
            step.result.set_result(pieces[step.number])
        return True

    def _note(self, steps: Sequence[_Step], seconds: float) -> None:
        """Count the time of one run, of which each step has its share."""
        clips = sum(len(step.clips) or 1 for step in steps)
        for step in steps:
            step.work.inference_seconds += seconds * (len(step.clips) or 1) / clips
        self._observe(seconds)


def _due(work: Work) -> float:
    return time.monotonic() + work.priority
