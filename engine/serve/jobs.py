"""Jobs: long recordings that are recognized one after the other, and results that wait."""

from __future__ import annotations

import contextlib
import datetime
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import FiniteFloat, TypeAdapter

from ..errors import E2VError, OutputError, OverloadedError, UnknownResourceError
from ..files import open_regular, write_file
from .answers.emotions import Answer
from .answers.problems import problem
from .answers.schema import JobState
from .bodies.spool import SpooledFile
from .inference.work import Priority, Work
from .monitoring import LOGGER, Metrics
from .settings import ServeSettings

MOST_RESULT_CHARACTERS = 256_000_000
"""Characters of all results in memory together; the oldest go first."""

ID = re.compile(r"[0-9a-f]{32}")


@dataclass
class Outcome:
    """The end of a job, as it is kept."""

    id: str
    created: str
    """Time, ISO 8601, UTC."""
    format: str
    state: JobState
    done: FiniteFloat
    """Seconds of audio."""
    text: str = ""
    """Text of the answer."""
    media_type: str = ""
    error: dict[str, Any] | None = None
    """The problem that ended it."""


@dataclass(eq=False)
class Job:
    """One job."""

    outcome: Outcome
    files: list[SpooledFile]
    """The recordings of the job, which are freed when it ends."""
    work: Work
    ended: float | None = None
    """Time of :func:`time.monotonic`."""
    running: Future[None] | None = field(default=None, repr=False)


class JobStore:
    """Jobs and their results, bounded in number, size and time. For any thread.

    Args:
        settings: the bounds, and the folder for results, if they are kept on the disk.
        metrics: receives the number of jobs in each state.
    """

    def __init__(self, settings: ServeSettings, metrics: Metrics) -> None:
        self.settings = settings
        self._metrics = metrics
        self._lock = threading.RLock()
        self._jobs: dict[str, Job] = {}
        self._thread = ThreadPoolExecutor(1, "jobs")
        self._count()

    def check_room(self) -> None:
        """Refuse a job that would be one too many.

        Raises:
            OverloadedError: so many jobs have not ended.
        """
        self.prune()
        with self._lock:
            open_jobs = sum(job.ended is None for job in self._jobs.values())
        if open_jobs >= self.settings.jobs:
            raise OverloadedError(f"{open_jobs} jobs wait already; ask again in a while")

    def add(
        self, files: list[SpooledFile], format_: str, function: Callable[[Work], Answer]
    ) -> Job:
        """Begin a job.

        Args:
            files: its recordings, which now belong to it.
            format_: format of the answer.
            function: computes the answer.

        Raises:
            OverloadedError: see :meth:`check_room`.
        """
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        job = Job(
            Outcome(uuid.uuid4().hex, now, format_, "waiting", 0.0),
            files,
            Work(Priority.JOB, budget=False),
        )
        with self._lock:
            self.check_room()
            self._make_room()
            self._jobs[job.outcome.id] = job
            job.running = self._thread.submit(self._run, job, function)
        self._count()
        return job

    def get(self, number: str) -> Job:
        """The job of an id.

        Raises:
            UnknownResourceError: there is none, or it is not kept any more.
        """
        self.prune()
        with self._lock:
            job = self._jobs.get(number)
        job = job or self._read(number)
        if job is None:
            raise UnknownResourceError("there is no such job, or it is not kept any more")
        return job

    def remove(self, number: str) -> None:
        """Cancel a job, and forget it.

        Raises:
            UnknownResourceError: there is none.
        """
        job = self.get(number)
        with self._lock:
            self._jobs.pop(number, None)
        job.work.withdraw()
        if job.running is not None and job.running.cancel():  # it has not begun
            self._free(job)
        if path := self._path(number):
            path.unlink(missing_ok=True)
        self._count()

    def prune(self) -> None:
        """Forget results whose time is over."""
        keep = 60 * self.settings.keep_minutes
        with self._lock:
            for number, job in list(self._jobs.items()):
                if job.ended is not None and time.monotonic() - job.ended > keep:
                    del self._jobs[number]
        for path in self._kept():
            with contextlib.suppress(OSError):  # another process may forget it too
                if time.time() - path.stat().st_mtime > keep:
                    path.unlink()
        self._count()

    def close(self) -> None:
        """Cancel all jobs that have not ended."""
        with self._lock:
            jobs = list(self._jobs.values())
        for job in jobs:
            job.work.withdraw()
            if job.running is not None and job.running.cancel():
                self._free(job)
        self._thread.shutdown()

    def _run(self, job: Job, function: Callable[[Work], Answer]) -> None:
        outcome = job.outcome
        try:
            outcome.state = "running"
            self._count()
            answer = function(job.work)
            outcome.text, outcome.media_type = answer.text, answer.media_type
            state: JobState = "done"
        except Exception as error:  # noqa: BLE001 - it is the answer to whoever asks for the job
            if not isinstance(error, E2VError):
                LOGGER.exception("job failed")
            outcome.error = problem(error)
            state = "failed"
        finally:
            self._free(job)
        outcome.done = job.work.audio_seconds
        self._metrics.audio.inc(outcome.done)
        outcome.state = state
        self._keep(job)
        job.ended = time.monotonic()
        self._count()

    def _keep(self, job: Job) -> None:
        """Write an outcome to the folder, if there is one, rather than hold it."""
        path = self._path(job.outcome.id)
        if path is None or job.work.withdrawn:
            return
        try:
            write_file(path, json.dumps(asdict(job.outcome)).encode())
        except OutputError as error:
            LOGGER.error("result kept in memory", exc_info=error)
            return
        if job.work.withdrawn:  # while it was written
            path.unlink(missing_ok=True)
        with self._lock:
            self._jobs.pop(job.outcome.id, None)

    def _read(self, number: str) -> Job | None:
        """A job whose outcome is in the folder."""
        path = self._path(number)
        if path is None:
            return None
        try:
            with open_regular(path, follow=False) as file:
                outcome = TypeAdapter(Outcome).validate_json(file.read(), strict=True)
        except (OSError, ValueError):  # none, or somebody else's
            return None
        return Job(outcome, [], Work(Priority.JOB), ended=0.0)

    def _path(self, number: str) -> Path | None:
        folder = self.settings.jobs_folder
        return folder / f"{number}.json" if folder is not None and ID.fullmatch(number) else None

    def _kept(self) -> Iterator[Path]:
        """Files of outcomes."""
        if self.settings.jobs_folder is not None:
            for path in self.settings.jobs_folder.glob("*.json"):
                if ID.fullmatch(path.stem):
                    yield path

    def _make_room(self) -> None:
        """Forget the oldest results, until there is room for one job more."""
        ended = [number for number, job in self._jobs.items() if job.ended is not None]
        size = sum(len(job.outcome.text) for job in self._jobs.values())
        while ended and (len(self._jobs) >= self.settings.jobs or size > MOST_RESULT_CHARACTERS):
            size -= len(self._jobs.pop(ended.pop(0)).outcome.text)

    def _free(self, job: Job) -> None:
        for file in job.files:
            file.close()
        job.files = []

    def _count(self) -> None:
        with self._lock:
            states = [job.outcome.state for job in self._jobs.values()]
        for state in ("waiting", "running", "done", "failed"):
            self._metrics.jobs.labels(state).set(states.count(state))
