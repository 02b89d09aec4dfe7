"""Workers of a batch on a Ray cluster, as the machine that started it sees them.

Each worker is an actor with a model of its own. It is handed recordings by their path, a few at a
time, and opens them itself; its results come back here to be written, so that the machines need no
folder in common for them. A worker that is lost, with its machine or without, is replaced,
and what it had in hand is given to others.
"""

from __future__ import annotations

import contextlib
import pickle
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...bundle.bundle import Bundle
from ...errors import ClusterError
from ...version import __version__
from ..handout import Handout
from ..inputs.input_file import InputFile
from ..recognition import Result
from .actor import Actor, Job, Ready
from .cluster import Share, joined, number_of_workers, own_error
from .shipping import put_bundle

GIVEN = 8
"""Recordings that a worker has at a time, if it encodes one after the other."""

GIVEN_GROUPS = 4
"""The same in groups, if it encodes several together."""

MOST_DEATHS = 3
"""Workers that may die over a recording before it is a failure; a machine may be lost by chance."""

MOST_STARTS = 3
"""Attempts to start a worker, in a row."""

START_SECONDS = 180.0
"""Time without a worker that is ready after which the cluster cannot start one."""

LOOK_SECONDS = 1.0
"""Time between two looks at the clock while nothing comes."""


@dataclass(eq=False)
class _Member:
    """One worker."""

    handle: Any
    start: int
    """Number of this attempt to start it."""
    ready: Ready | None = None
    """The report of the worker; None until it has loaded the model."""
    hand: deque[InputFile] = field(default_factory=deque)
    """Recordings that it was given and has not answered, in order."""

    @property
    def most(self) -> int:
        """Number of recordings that it may have."""
        together = 1 if self.ready is None else self.ready.together
        return GIVEN if together == 1 else GIVEN_GROUPS * together


class RayWorkers:
    """Workers on a cluster that work on one batch. A context manager.

    Args:
        address: as :func:`~.cluster.parse_address` gives it.
        bundle: the model.
        job: the work of each worker.
        share: the part of a machine that each worker takes.
        workers: number of workers; None takes as many as fit.

    Raises:
        MissingExtraError: Ray is not installed.
        ClusterError: the cluster is not there, has no room, or a worker cannot do the work.
        E2VError: the model cannot be loaded there.
    """

    def __init__(
        self, address: str, bundle: Bundle, job: Job, share: Share, workers: int | None = None
    ) -> None:
        self.bundle = bundle
        self.job = job
        self.share = share
        self._files: dict[str, Any] | None = None
        """References of the model's files in the object store, once a worker needed them."""
        self._members: list[_Member] = []
        self._calls: dict[Any, _Member] = {}
        """The worker of each call that is not answered, by its reference."""
        self._first: Ready | None = None
        with contextlib.ExitStack() as opened:
            self._ray = opened.enter_context(joined(address))
            opened.callback(self._stop)
            self._class = self._ray.remote(
                num_cpus=share.cpus, num_gpus=share.gpus or None, max_restarts=0
            )(Actor)
            self._job = pickle.dumps(job)
            self.workers = number_of_workers(self._ray, share, workers)
            for _ in range(self.workers):
                self._spawn()
            handout = Handout([], MOST_DEATHS)
            while self._first is None:
                list(self._next_results(handout))
            self._opened: contextlib.ExitStack = opened.pop_all()

    @property
    def run(self) -> str:
        """Digest of the model and the settings, as every worker has it."""
        if self._first is None:
            raise ClusterError("no worker has loaded the model")
        return self._first.run

    def results(self, items: Iterable[InputFile]) -> Generator[Result, None, None]:
        """The result of each item, as they come.

        Raises:
            ClusterError: the cluster is lost, or workers cannot be started.
        """
        handout = Handout(items, MOST_DEATHS)
        self._feed_idle(handout)
        while handout.unfinished:
            for result in self._next_results(handout):
                handout.left -= 1
                yield result

    def __enter__(self) -> RayWorkers:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def _stop(self) -> None:
        for member in self._members:
            with contextlib.suppress(Exception):  # the cluster may be gone
                self._ray.kill(member.handle)

    def _spawn(self, start: int = 1) -> None:
        member = _Member(self._class.remote(), start)
        self._members.append(member)
        self._load(member)

    def _load(self, member: _Member) -> None:
        self._calls[member.handle.load.remote(__version__, self._job, self._files)] = member

    def _feed_idle(self, handout: Handout) -> None:
        busy = set(map(id, self._calls.values()))
        for member in self._members:
            if member.ready is not None and id(member) not in busy:
                self._feed(member, handout)

    def _feed(self, member: _Member, handout: Handout) -> None:
        given = handout.give(member.hand, member.most)
        if member.hand:
            self._calls[member.handle.exchange.remote(given)] = member

    def _next_results(self, handout: Handout) -> Iterator[Result]:
        """Wait for an answer; the results that it brings."""
        for call in self._answered():
            member = self._calls.pop(call)
            try:
                answer = self._ray.get(call)
            except self._ray.exceptions.RayActorError as error:
                self._members.remove(member)
                yield from self._after_death(member, handout, error)
                self._feed_idle(handout)
            except self._ray.exceptions.RayError as error:
                raise own_error(error) or ClusterError(f"a worker failed: {error}") from error
            else:
                if member.ready is None:
                    self._take_ready(member, answer, handout)
                else:
                    yield from self._take_results(member, answer, handout)

    def _answered(self) -> Sequence[Any]:
        """References of calls that are answered, one at least."""
        began = time.monotonic()
        while True:
            answered: Sequence[Any]
            answered, _ = self._ray.wait(list(self._calls), num_returns=1, timeout=LOOK_SECONDS)
            if answered:
                return answered
            lost = all(member.ready is None for member in self._members)
            if lost and time.monotonic() - began > START_SECONDS:
                raise ClusterError(
                    f"no worker with {self.share} was ready within {START_SECONDS:.0f} s: the "
                    "cluster has no room for one any more, or is too busy to start it"
                )

    def _take_ready(self, member: _Member, ready: Ready | None, handout: Handout) -> None:
        """Note that a worker is ready, or send it the model."""
        if ready is None:
            if self._files is None:
                self._files = put_bundle(self.bundle, self._ray.put)
            self._load(member)
            return
        member.ready = ready
        self._first = self._first or ready
        if ready.run != self._first.run:
            raise ClusterError(
                f"results would not be comparable: {ready.machine} runs {ready.engine}, and "
                f"{self._first.machine} {self._first.engine}; name --provider and --precision"
            )
        self._feed(member, handout)

    def _take_results(
        self, member: _Member, results: list[Result], handout: Handout
    ) -> Iterator[Result]:
        for _ in results:
            member.hand.popleft()
        self._feed(member, handout)
        yield from results

    def _after_death(self, member: _Member, handout: Handout, error: Exception) -> Iterator[Result]:
        """Replace a worker and queue its recordings; failures of those that too many died over."""
        # The last line of Ray's account of it; those before are a list of ids or a traceback.
        reason = str(error).strip().splitlines()[-1].strip()
        if member.ready is None:
            if "No module named" in reason:
                raise ClusterError(
                    f"a machine of the cluster cannot load emotion2vec-edge {__version__}: "
                    f"{reason}; install it on all of them"
                ) from error
            if member.start == MOST_STARTS:
                raise ClusterError(f"a worker could not be started: {reason}") from error
            self._spawn(member.start + 1)
            return
        for failed in handout.bury(member.hand, member.ready.touched, reason):
            yield Result(failed.item, failed.row)
        self._spawn()
