"""Worker processes of a batch on this machine: both ends of the pipe between them.

Each process has a model of its own and a share of the processors. One that dies (a decoder that
crashes on a damaged file, a lack of memory) is replaced; a recording that was in two that died is a
failure, and the others go on. Lines of JSON pass in both directions.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from .. import errors
from ..audio.ahead import AHEAD
from ..errors import E2VError
from ..recognizer import Recognizer
from ..runtime.hardware import free_memory, private_memory
from ..runtime.model import noise
from ..settings import (
    CHUNK_SECONDS,
    MOST_JOBS,
    IntakeSettings,
    ModelSettings,
    ReportSettings,
    SegmentSettings,
    TurnSettings,
)
from .handout import Handout
from .inputs.input_file import InputFile
from .outcome import Outcome
from .rows import FailureRow, ResultRow
from .settings import BatchSettings
from .worker import Worker

GIVEN = AHEAD + 2
"""Recordings that a process has at a time: one it encodes, some it decodes, one on the way."""

MOST_DEATHS = 2
"""Processes that may die over a recording before it is a failure."""

MOST_STARTS = 3
"""Attempts to start a process, in a row."""

MEMORY_SHARE = 0.8
"""Share of the free memory that processes may take; decoded audio and files need the rest."""


class Division(NamedTuple):
    """Processors divided among processes."""

    jobs: int
    """Number of processes."""
    threads: int
    """Processors of each."""


def divide(processors: int, memory: int | None, free: int | None) -> Division:
    """One thread in each of as many processes as there are processors and memory allows.

    Recordings do not wait for one another as the threads of one pass do. Where memory is short,
    there are fewer processes of several threads, so that few processors are without work.

    Args:
        processors: number that may be used.
        memory: bytes that one process takes, without what all share.
        free: bytes for all of them together; None for both where they are not known.
    """
    most = min(processors, MOST_JOBS)
    if memory is not None and free is not None:
        most = max(1, min(most, int(MEMORY_SHARE * free) // max(1, memory)))
    threads = processors // most
    more = threads + 1
    divisions = Division(most, threads), Division(processors // more, more)
    return max(divisions, key=lambda division: (division.jobs * division.threads, division.jobs))


def divide_for(recognizer: Recognizer, processors: int) -> Division:
    """Divide processors among processes that each have a model like this one.

    The memory of a process is measured: it is that of this one, after a pass over the longest
    stretch of audio that is encoded at once. On a GPU there is one process.
    """
    if recognizer.provider != "cpu" or processors == 1:
        return Division(1, processors)
    model = recognizer.encoder
    model.encode(noise(model.audio, min(model.chunking.seconds, CHUNK_SECONDS)))
    return divide(processors, private_memory(), free_memory())


@dataclass(eq=False)
class _Process:
    """One worker process, as the parent sees it."""

    popen: subprocess.Popen[bytes]
    start: int
    """Number of this attempt to start it."""
    items: deque[InputFile] = field(default_factory=deque)
    """Recordings that it was given and has not answered, in order."""
    reader: threading.Thread = field(init=False)
    ready: bool = False
    """True once it has loaded the model."""

    def send(self, message: Any) -> None:
        """Pass on a message; a process that is gone is noticed where it is read."""
        if self.popen.stdin is not None:
            with contextlib.suppress(OSError):
                self.popen.stdin.write(json.dumps(message).encode() + b"\n")
                self.popen.stdin.flush()

    def stop(self) -> None:
        """End the process at once."""
        self.popen.kill()
        self.reader.join()
        with contextlib.suppress(OSError):
            self.popen.__exit__(None, None, None)

    def death(self) -> str:
        """Wait for its end; the signal or the exit code that it ended with."""
        code = self.popen.wait()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


class Workers:
    """Several processes that work on one batch.

    Args:
        jobs: number of processes.
        model: the model; ``threads`` is the number of processors for each of them.
        folder: path of the output folder.
        settings: the files to make of each recording.
        run: digest of the model and the settings.
    """

    def __init__(
        self, jobs: int, model: ModelSettings, folder: Path, settings: BatchSettings, run: str
    ) -> None:
        self.jobs = jobs
        self.start = {
            "model": asdict(model),
            "folder": str(folder),
            "settings": asdict(settings),
            "run": run,
        }

    def work(self, items: Iterable[InputFile]) -> Generator[Outcome, None, None]:
        """The outcome of each item, as they come.

        Raises:
            E2VError: an error that ended a worker, such as a full disk; or no process starts.
        """
        pool = _Pool(self.start, Handout(items, MOST_DEATHS))
        try:
            pool.start_processes(self.jobs)
            while pool.handout.unfinished:
                for outcome in pool.next_outcomes():
                    pool.handout.left -= 1
                    yield outcome
        finally:
            pool.stop()


class _Pool:
    """The processes of one batch, and the recordings that they have and have not.

    Args:
        start: first message to each process.
        handout: the recordings.
    """

    def __init__(self, start: Mapping[str, Any], handout: Handout) -> None:
        self.start = start
        self.handout = handout
        self.processes: list[_Process] = []
        self.answers: queue.SimpleQueue[tuple[_Process, Mapping[str, Any] | None]]
        self.answers = queue.SimpleQueue()
        """Messages of the processes; None at the end of one."""

    def start_processes(self, jobs: int) -> None:
        """Start them, and share out the first recordings evenly."""
        for _ in range(self.handout.pending(jobs)):
            self._spawn()
        for most in range(1, GIVEN + 1):
            for process in self.processes:
                self._feed(process, most)

    def next_outcomes(self) -> Iterator[Outcome]:
        """Wait for a message; the outcomes that it brings."""
        process, answer = self.answers.get()
        if answer is None:
            self.processes.remove(process)
            yield from self._after_death(process)
            if self.handout.pending():
                self._feed(self._spawn(1 if process.ready else process.start + 1))
            return
        check_answer(answer)
        if "ready" in answer:
            process.ready = True
        else:
            item = process.items.popleft()
            self._feed(process)
            yield Outcome(item, _row(answer))

    def stop(self) -> None:
        """End all processes at once."""
        for process in self.processes:
            process.stop()

    def _spawn(self, start: int = 1) -> _Process:
        popen = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is the parent's to handle
        )
        process = _Process(popen, start)
        self.processes.append(process)

        def read() -> None:
            for line in popen.stdout or ():
                self.answers.put((process, json.loads(line)))
            self.answers.put((process, None))

        process.reader = threading.Thread(target=read, daemon=True)
        process.reader.start()
        process.send(self.start)
        return process

    def _feed(self, process: _Process, most: int = GIVEN) -> None:
        for item in self.handout.give(process.items, most):
            process.send(item.to_dict())

    def _after_death(self, process: _Process) -> Iterator[Outcome]:
        """Queue its recordings again; failures of those that two processes have died over."""
        reason = process.death()
        process.stop()
        if not process.ready:
            if process.start == MOST_STARTS:
                raise E2VError(
                    f"a worker process died before it was ready ({reason}), {MOST_STARTS} times in "
                    "a row; with less --jobs each has more memory"
                )
            self.handout.take_back(process.items)
            return
        # The others it has not touched: it decodes AHEAD while it encodes one.
        yield from self.handout.bury(process.items, AHEAD + 1, reason)


def _row(answer: Mapping[str, Any]) -> ResultRow | FailureRow:
    kind = FailureRow if answer["failed"] else ResultRow
    return kind.from_dict(answer["row"])


def check_answer(answer: Mapping[str, Any]) -> None:
    """Raise the error of a process, if its answer is a :func:`fatal_answer`."""
    if "fatal" in answer:
        raise getattr(errors, answer["fatal"], E2VError)(answer["message"])


def fatal_answer(error: E2VError) -> dict[str, str]:
    """The answer of a process that an error ends."""
    return {"fatal": type(error).__name__, "message": str(error)}


def answers_on_stdout() -> Callable[[Mapping[str, Any]], None]:
    """Keep this process's stdout for answers, a line of JSON each; gives what writes one."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not come between the lines

    def answer(message: Mapping[str, Any]) -> None:
        out.write(json.dumps(message) + "\n")
        out.flush()

    return answer


def main() -> None:
    """The worker process: its settings on the first line of stdin, then a recording a line."""
    answer = answers_on_stdout()
    threading.Thread(target=_die_with_parent, args=(os.getppid(),), daemon=True).start()
    try:
        # Not sys.stdin: at its end Python waits in vain for the thread that reads it, and aborts.
        lines = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - the thread's
        worker = _worker(json.loads(lines.readline()))
        answer({"ready": True})
        for outcome in worker.work(InputFile.from_dict(json.loads(line)) for line in lines):
            failed = isinstance(outcome.row, FailureRow)
            answer({"row": outcome.row.to_dict(), "failed": failed})
    except E2VError as error:
        answer(fatal_answer(error))
    except BrokenPipeError:
        os._exit(1)  # nobody listens any more


def _worker(start: Mapping[str, Any]) -> Worker:
    """The worker that a parent describes."""
    given = start["settings"]
    turns = given["turns"]
    if turns is not None:
        turns = TurnSettings(**{**turns, "segments": SegmentSettings(**turns["segments"])})
    settings = BatchSettings(
        IntakeSettings(**given["intake"]),
        ReportSettings(**given["report"]),
        tuple(given["formats"]),
        given["embeddings"],
        turns,
        given["speech_only"] and SegmentSettings(**given["speech_only"]),
    )
    recognizer = Recognizer.load(**start["model"])
    return Worker(recognizer, Path(start["folder"]), settings, start["run"], batch_size=1)


def _die_with_parent(parent: int) -> None:
    """End this process after its parent, which may be killed before it can do so."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    main()
