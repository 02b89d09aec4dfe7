"""Worker processes for a batch: both ends of the pipe between them.

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
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .. import errors
from ..audio.ahead import AHEAD
from ..errors import E2VError
from ..recognizer import Recognizer
from ..settings import IntakeSettings, ModelSettings, ReportSettings
from .discover import InputFile
from .settings import BatchSettings
from .worker import Outcome, Worker, failure

GIVEN = AHEAD + 2
"""Recordings that a process has at a time: one it encodes, some it decodes, one on the way."""

MOST_DEATHS = 2


@dataclass(eq=False)
class _Process:
    """One worker process, as the parent sees it."""

    popen: subprocess.Popen[bytes]
    items: deque[InputFile] = field(default_factory=deque)
    """What it was given and has not answered, in order."""
    reader: threading.Thread = field(init=False)
    ready: bool = False
    """Whether it has loaded the model."""

    def send(self, message: Any) -> None:
        """Pass on a message; a process that is gone is noticed where it is read."""
        if self.popen.stdin is not None:
            with contextlib.suppress(OSError):
                self.popen.stdin.write(json.dumps(message).encode() + b"\n")
                self.popen.stdin.flush()

    def stop(self) -> None:
        """End it, whatever it does."""
        self.popen.kill()
        self.reader.join()
        with contextlib.suppress(OSError):
            self.popen.__exit__(None, None, None)


class Workers:
    """Several processes that work on one batch.

    Args:
        jobs: how many.
        model: which model; ``threads`` is what each of them uses.
        folder: path of the output folder.
        settings: what is made of each recording.
        run: the digest of model and settings.
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
        self.deaths: Counter[str] = Counter()

    def work(self, items: Iterable[InputFile]) -> Generator[Outcome, None, None]:
        """The outcome of each item, as they come.

        Raises:
            E2VError: what a worker could not go on from, such as a full disk.
        """
        todo = deque(items)
        answers: queue.SimpleQueue[tuple[_Process, Any]] = queue.SimpleQueue()
        processes = [self._spawn(answers) for _ in range(min(self.jobs, len(todo)))]
        left = len(todo)
        try:
            for process in processes:
                self._feed(process, todo)
            while left:
                process, answer = answers.get()
                if answer is None:
                    processes.remove(process)
                    for outcome in self._after_death(process, todo):
                        left -= 1
                        yield outcome
                    if todo:
                        processes.append(self._spawn(answers))
                        self._feed(processes[-1], todo)
                elif "fatal" in answer:
                    raise getattr(errors, answer["fatal"], E2VError)(answer["message"])
                elif "ready" in answer:
                    process.ready = True
                else:
                    item = process.items.popleft()
                    left -= 1
                    self._feed(process, todo)
                    yield Outcome(item, answer["row"], answer["failed"])
        finally:
            for process in processes:
                process.stop()

    def _spawn(self, answers: queue.SimpleQueue[tuple[_Process, Any]]) -> _Process:
        popen = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is the parent's to handle
        )
        process = _Process(popen)
        process.send(self.start)

        def read() -> None:
            for line in popen.stdout or ():
                answers.put((process, json.loads(line)))
            answers.put((process, None))

        process.reader = threading.Thread(target=read, daemon=True)
        process.reader.start()
        return process

    def _feed(self, process: _Process, todo: deque[InputFile]) -> None:
        while todo and len(process.items) < GIVEN:
            if self.deaths[todo[0].path] and process.items:
                return  # what may have killed a process is given alone
            item = todo.popleft()
            process.items.append(item)
            process.send(asdict(item))
            if self.deaths[item.path]:
                return

    def _after_death(self, process: _Process, todo: deque[InputFile]) -> Iterator[Outcome]:
        """What it was given is tried again, but for what two processes have died over."""
        code = process.popen.wait()
        process.stop()
        reason = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        if not process.ready:
            raise E2VError(f"a worker process died before it was ready ({reason})")
        for number, item in enumerate(process.items):
            self.deaths[item.path] += number <= AHEAD  # the others it has not touched
            if self.deaths[item.path] >= MOST_DEATHS:
                message = f"{item.file}: a worker process died over it ({reason})"
                yield failure(item, "WorkerDied", message, 1)
            else:
                todo.append(item)


def main() -> None:
    """The worker process: its settings on the first line of stdin, then a recording a line."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not come between the lines
    threading.Thread(target=_die_with_parent, args=(os.getppid(),), daemon=True).start()

    def answer(message: dict[str, Any]) -> None:
        out.write(json.dumps(message) + "\n")
        out.flush()

    try:
        # Not sys.stdin: at its end Python waits in vain for the thread that reads it, and aborts.
        lines = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - the thread's
        start = json.loads(lines.readline())
        given = start["settings"]
        settings = BatchSettings(
            IntakeSettings(**given["intake"]),
            ReportSettings(**given["report"]),
            tuple(given["formats"]),
            given["embeddings"],
        )
        recognizer = Recognizer.load(**start["model"])
        worker = Worker(recognizer, Path(start["folder"]), settings, start["run"], batch_size=1)
        answer({"ready": True})
        for outcome in worker.work(InputFile(**json.loads(line)) for line in lines):
            answer({"row": outcome.row, "failed": outcome.failed})
    except E2VError as error:
        answer({"fatal": type(error).__name__, "message": str(error)})
    except BrokenPipeError:
        os._exit(1)  # nobody listens any more


def _die_with_parent(parent: int) -> None:
    """A parent that was killed can stop nobody."""
    import time

    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    main()
