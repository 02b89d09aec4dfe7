"""A prefix in an object store as the folder of results of a batch.

Results pass through a folder in the cache of this machine. The files of a recording are at the
prefix before its row is in the log; the logs follow every minute, and with the tables at the end.
A run that was stopped goes on from both: what this machine has, and what the prefix has.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import time
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ...errors import E2VError, OutputError
from ...files import cache_folder, printable
from ...objects import check_client, fetch, find, is_url, put, remove
from ..inputs.input_file import InputFile
from ..inputs.places import RESULT_SUFFIXES
from ..outcome import Executor, Outcome
from ..rows import FailureRow
from .folder import RESULT_TABLES, OutputFolder, unreadable
from .log import Log

LOGS = ("results.jsonl", "failures.jsonl")
TABLES = (*RESULT_TABLES, "results.jsonl.foreign", "failures.jsonl.foreign")
SUMMARY = "summary.json"

UPLOADS = 8
"""Recordings whose files are sent at the same time."""

LOG_SECONDS = 60.0
"""Seconds from one sending of the logs to the next, at least."""

LOG_PAUSE = 20
"""Times as long as the logs take to be sent, they are not sent again."""


def open_output(output: str) -> OutputFolder:
    """The folder of results of a path, or of the URL of a prefix.

    Raises:
        OutputError: it cannot be made or written, or another run is writing to it.
        MissingExtraError: the client of the store is not installed.
    """
    if output.startswith("file://"):
        output = output.removeprefix("file://")
    return PrefixFolder(output) if is_url(output) else OutputFolder(Path(output))


class PrefixFolder(OutputFolder):
    """A prefix in a store, and the folder of this machine that results pass through.

    Args:
        url: the prefix.

    Raises:
        OutputError: the store does not answer, or the folder cannot be written.
        MissingExtraError: the client of the store is not installed.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        digest = hashlib.sha256(printable(self.url).encode()).hexdigest()[:16]
        try:
            check_client(self.url)
            there = {name.removeprefix(f"{self.url}/") for name in find(self.url)}
        except OSError as error:
            raise self._unwritable(error) from error
        super().__init__(cache_folder() / "batches" / digest)
        self.elsewhere = frozenset(name for name in there if name.endswith(".json"))
        self._tables = there.intersection(RESULT_TABLES)
        """Tables at the prefix."""
        try:
            self._adopt(self.results, there)
            self._adopt(self.failures, there)
        except BaseException:
            super().__exit__(None)
            raise
        self._next = time.monotonic() + LOG_SECONDS

    def keeping(self, executor: Executor) -> Executor:
        """The executor, whose results are at the prefix before their outcomes are told."""
        return _Sending(executor, self)

    def read(self, place: str) -> bytes | None:
        """Content of a file at the prefix; None if there is none.

        Raises:
            OutputError: it cannot be read.
        """
        url = f"{self.url}/{place}"
        try:
            with fetch(url) as file:
                return file.readall()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise unreadable(url, error) from error

    def remove(self, place: str) -> None:
        """Remove a file, and a table of an earlier run from the prefix too.

        Raises:
            OutputError: it cannot be removed.
        """
        super().remove(place)
        if place in self._tables:
            try:
                remove(f"{self.url}/{place}")
            except OSError as error:
                raise self._unwritable(error) from error
            self._tables.remove(place)

    def send_results(self, item: InputFile) -> None:
        """Send the files of a recording, the report last, and remove them here.

        Raises:
            OutputError: one cannot be sent.
        """
        # RESULT_SUFFIXES begin with that of the report.
        places = [f"results/{item.place}{suffix}" for suffix in reversed(RESULT_SUFFIXES)]
        for place in (f"embeddings/{item.place}.npy", *places):
            if (self.path / place).is_file():
                self._send(place)
                super().remove(place)

    def send_logs(self) -> None:
        """Send the logs, if they were not sent for a while.

        Raises:
            OutputError: one cannot be sent.
        """
        started = time.monotonic()
        if started >= self._next:
            for name in LOGS:
                self._send(name)
            now = time.monotonic()
            self._next = now + max(LOG_SECONDS, LOG_PAUSE * (now - started))

    def __exit__(self, *raised: object) -> None:
        """Send the logs and the tables; what was sent does not stay here."""
        try:
            for name in (*LOGS, *TABLES, SUMMARY):
                if (self.path / name).is_file():
                    self._send(name)
            for name in (*LOGS, *TABLES, SUMMARY):
                super().remove(name)
            for name in ("results", "embeddings"):
                shutil.rmtree(self.path / name, ignore_errors=True)
        except E2VError:
            if not raised or raised[0] is None:  # else the error that ended the run says more
                raise
        finally:
            super().__exit__(*raised)
            with contextlib.suppress(OSError):
                self.path.rmdir()

    def _adopt(self, log: Log[Any], there: set[str]) -> None:
        """Add the rows of the prefix that this machine does not have."""
        if log.path.name in there:
            try:
                with fetch(f"{self.url}/{log.path.name}") as file:
                    log.adopt(file)
            except OSError as error:
                raise self._unwritable(error) from error

    def _send(self, place: str) -> None:
        try:
            put(self.path / place, f"{self.url}/{place}")
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> OutputError:
        return OutputError(
            f"{printable(self.url)}: cannot be read and written: {error.strerror or error}"
        )


class _Sending:
    """An executor whose results are sent to a prefix."""

    def __init__(self, executor: Executor, folder: PrefixFolder) -> None:
        self.executor = executor
        self.folder = folder

    def work(self, items: Iterable[InputFile]) -> Generator[Outcome, None, None]:
        """The outcome of each item, when its files are at the prefix; some are sent together."""
        pending: deque[tuple[Outcome, Future[None] | None]] = deque()
        with (
            ThreadPoolExecutor(UPLOADS, "upload") as threads,
            contextlib.closing(self.executor.work(items)) as outcomes,
        ):
            for outcome in outcomes:
                failed = isinstance(outcome.row, FailureRow)
                sent = None if failed else threads.submit(self.folder.send_results, outcome.item)
                pending.append((outcome, sent))
                while len(pending) > UPLOADS or (pending and _done(pending[0][1])):
                    yield self._sent(*pending.popleft())
            while pending:
                yield self._sent(*pending.popleft())

    def _sent(self, outcome: Outcome, sent: Future[None] | None) -> Outcome:
        if sent is not None:
            sent.result()
        self.folder.send_logs()
        return outcome


def _done(sent: Future[None] | None) -> bool:
    return sent is None or sent.done()
