"""The service without its addresses: the model, the queue in front of it, and its limits."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, Literal, TypeVar

from starlette.requests import Request

from ..bundle.bundle import Bundle
from ..bundle.locate import open_bundle
from ..corpora.feedback import FeedbackStore
from ..errors import E2VError, OverloadedError, WithdrawnError
from ..files import reported
from ..recognizer import Recognizer
from .answers.emotions import Answer
from .answers.stored import ServedStore
from .bodies.spool import Spool
from .bodies.uploads import Upload, received
from .inference.shared import shared
from .inference.thread import InferenceThread
from .inference.work import Priority, Work
from .jobs import JobStore
from .monitoring import LOGGER, Metrics, log
from .settings import ServeSettings

T = TypeVar("T")

State = Literal["ready", "loading", "failed", "ending"]
"""State of a service; requests are taken while it is ready."""

CLOSE_SECONDS = 5.0
"""Seconds that threads have to end once their work was withdrawn."""


class Service:
    """One service. Its methods are called in the event loop, unless they say otherwise.

    Args:
        settings: its settings.

    Raises:
        ModelError: there is no such model.
        StoreError: the store of embeddings cannot be used, or is of another model.
        OutputError: the folder for jobs cannot be made, or the store of corrections not be used.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self.settings = settings
        self.bundle: Bundle = open_bundle(
            settings.model.model, offline=settings.model.offline, manifest_only=True
        )
        if settings.feedback is not None:
            FeedbackStore(settings.feedback)  # a store that cannot be used is told at the start
        self.store = None if settings.store is None else ServedStore(settings.store, self.bundle)
        if settings.jobs_folder is not None:
            with reported(settings.jobs_folder):
                settings.jobs_folder.mkdir(parents=True, exist_ok=True)
        self.metrics = Metrics()
        self.spool = Spool(settings.spool, settings.spool_bytes)
        self.inference = InferenceThread(self.metrics.inference.observe)
        self.draining = asyncio.Event()
        """Set from the moment that the service ends."""
        self.live_threads = ThreadPoolExecutor(max(1, settings.sessions), "live")
        """One thread for each live session."""
        self._threads = ThreadPoolExecutor(settings.decode_workers, "decode")
        self.jobs = JobStore(settings, self.metrics)
        self._admitted = 0
        """Requests that have a thread, or wait for one."""
        self._mean_seconds = 0.0
        """Running mean of the seconds that a request has a thread."""
        self._loading = threading.Lock()
        self._recognizer: Recognizer | None = None
        self._load_problem = ""
        """Reason why the model could not be loaded for the last probe; empty if it could."""

    @property
    def loaded(self) -> Recognizer | None:
        """The recognizer, if the model is loaded."""
        return self._recognizer

    @property
    def waiting(self) -> int:
        """Requests that wait for a thread."""
        return max(0, self._admitted - self.settings.decode_workers)

    def recognizer(self) -> Recognizer:
        """The recognizer, loaded when it is first needed. For any thread.

        Raises:
            ModelError, ProviderError, OptionError: see :meth:`.Recognizer.load`.
        """
        with self._loading:
            if self._recognizer is None:
                started = time.perf_counter()
                self._recognizer = Recognizer.load(**asdict(self.settings.model))
                log(
                    "model loaded",
                    model=self._recognizer.bundle.manifest.name,
                    precision=self._recognizer.precision,
                    provider=self._recognizer.provider,
                    seconds=round(time.perf_counter() - started, 3),
                )
            return self._recognizer

    async def state(self) -> State:
        """State of the service for a probe.

        A model that was not needed yet is loaded, because only then it is known that it can be.
        """
        if self.draining.is_set():
            return "ending"
        if self._recognizer is None and self._loading.locked():
            return "loading"
        try:
            await asyncio.to_thread(self.recognizer)
        except E2VError as error:
            if str(error) != self._load_problem:  # not again at every probe
                LOGGER.error("the model cannot be loaded", exc_info=error)
            self._load_problem = str(error)
            return "failed"
        return "ready"

    def own_recognizer(
        self,
        work: Work,
        labels: Sequence[str] | None = None,
        reject_below: float | None = None,
    ) -> Recognizer:
        """A recognizer for one request, as :func:`.shared` makes it. For any thread."""
        return shared(
            self.recognizer(), self.inference, work, labels=labels, reject_below=reject_below
        )

    @contextlib.asynccontextmanager
    async def received(self, request: Request) -> AsyncIterator[Upload]:
        """Take in the body of a request, as :func:`.bodies.uploads.received`.

        Raises:
            OverloadedError: the queue is full already, so that the body is not worth sending.
        """
        self._check_room()
        async with received(request, self.settings, self.spool) as upload:
            yield upload

    async def compute(self, request: Request, function: Callable[[Work], T]) -> T:
        """Run a function in a thread that decodes; its work ends when the client goes away.

        Raises:
            OverloadedError: the queue is full.
            WithdrawnError: the client went away.
        """
        self._check_room()
        work = Work(Priority.REQUEST)
        gone = asyncio.ensure_future(_disconnected(request))
        self._admitted += 1
        self.metrics.queue_depth.set(self.waiting)
        submitted = self._threads.submit(self._computed, work, function)
        running = asyncio.wrap_future(submitted)
        running.add_done_callback(_retrieve)
        try:
            first: set[asyncio.Future[Any]] = {running, gone}
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                work.withdraw()
                submitted.cancel()  # if it has not begun
                await asyncio.wait({running})
            if running.cancelled():
                raise WithdrawnError("the client went away")
            return running.result()
        except asyncio.CancelledError:  # by the server, after the grace period
            work.withdraw()
            submitted.cancel()
            raise OverloadedError("the service ended before this was done") from None
        finally:
            gone.cancel()
            self._admitted -= 1
            self.metrics.queue_depth.set(self.waiting)
            self.metrics.audio.inc(work.audio_seconds)
            request.scope["facts"] = {
                "audio_seconds": round(work.audio_seconds, 3),
                "queue_seconds": round(work.queue_seconds, 4),
                "inference_seconds": round(work.inference_seconds, 4),
            }

    def retry_after(self) -> int:
        """Seconds after which a refused client may find room."""
        share = self._mean_seconds / self.settings.decode_workers
        return max(1, min(60, round(self.waiting * share)))

    def count(self, answer: Answer) -> None:
        """Count the emotions of an answer. For any thread."""
        for emotion in answer.emotions:
            self.metrics.results.labels(emotion).inc()

    def close(self) -> bool:
        """End all threads; work that waits is refused, and jobs that have not ended are lost.

        Returns:
            True if they ended; False if one is still at a step that cannot be broken off.
        """
        for threads in (self._threads, self.live_threads):
            threads.shutdown(wait=False, cancel_futures=True)

        def wait() -> None:
            self.jobs.close()
            self.inference.close()
            for threads in (self._threads, self.live_threads):
                threads.shutdown(wait=True)

        waiting = threading.Thread(target=wait, name="closing", daemon=True)
        waiting.start()
        waiting.join(CLOSE_SECONDS)
        return not waiting.is_alive()

    def _check_room(self) -> None:
        if self.draining.is_set():
            raise OverloadedError("the service ends; ask again in a while")
        if self.waiting >= self.settings.queue:
            raise OverloadedError(f"{self.waiting} requests wait already; ask again in a while")

    def _computed(self, work: Work, function: Callable[[Work], T]) -> T:
        work.queue_seconds = time.monotonic() - work.arrived
        self.metrics.queue_wait.observe(work.queue_seconds)
        work.check()
        started = time.monotonic()
        try:
            return function(work)
        finally:
            self._mean_seconds += 0.1 * (time.monotonic() - started - self._mean_seconds)


async def _disconnected(request: Request) -> None:
    """Return when the client of a request, whose body was read, goes away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _retrieve(future: asyncio.Future[Any]) -> None:
    """Look at the error of a future that nobody waits for any more, so that it is not reported."""
    if not future.cancelled():
        future.exception()
