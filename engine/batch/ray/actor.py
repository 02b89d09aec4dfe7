"""The worker on a machine of a Ray cluster: one model, and a queue of recordings before it."""

from __future__ import annotations

import dataclasses
import functools
import pickle
import queue
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...audio.ahead import AHEAD
from ...errors import ClusterError, OptionError
from ...objects import is_url
from ...recognizer import Recognizer
from ...settings import ModelSettings
from ...version import __version__
from ..inputs.input_file import FileState, InputFile
from ..recognition import Recognition, Result
from ..run import run_digest
from ..settings import BatchSettings
from .shipping import ShippedModel


@dataclass(frozen=True)
class Job:
    """The work of each worker of a run."""

    model: ModelSettings
    """The model's own place is in ``shipped``."""
    shipped: ShippedModel
    settings: BatchSettings
    batch_size: int | None
    probe: str | None
    """Path of a recording that each worker must see; None if all are objects of a store."""


def probe_of(items: Iterable[InputFile]) -> str | None:
    """Path of the first recording that is on this machine; None if there is none."""
    usable = (item.path for item in items if item.problem is None and not is_url(item.path))
    return next((path for path in usable if FileState.of(path) is not None), None)


@dataclass(frozen=True)
class Ready:
    """The message of a worker that has loaded the model."""

    machine: str
    run: str
    """Digest of the model and the settings."""
    engine: str
    """Provider and precision, for messages."""
    together: int
    """Number of recordings that are encoded together."""

    @property
    def touched(self) -> int:
        """Recordings at the head of its queue that it may have begun."""
        return AHEAD + 1 if self.together == 1 else 3 * self.together


class Actor:
    """The class of Ray's actors."""

    def __init__(self) -> None:
        self.machine = socket.gethostname()
        self.given: queue.SimpleQueue[InputFile] = queue.SimpleQueue()
        self.made: queue.SimpleQueue[Result | Exception] = queue.SimpleQueue()

    def load(
        self, version: str, pickled_job: bytes, files: Mapping[str, Any] | None = None
    ) -> Ready | None:
        """Load the model.

        Args:
            version: version of this package on the machine that started the run.
            pickled_job: a :class:`Job`, which another version might not understand.
            files: references of the model's files in the object store, by their path in the bundle.

        Returns:
            None if this machine does not have the model; its files are then needed.

        Raises:
            ClusterError: this machine has another version, or does not see the recordings.
            E2VError: the model cannot be loaded.
        """
        if version != __version__:
            raise ClusterError(
                f"{self.machine} has emotion2vec-edge {__version__}, and the machine that started "
                f"the batch has {version}; install the same version on all of them"
            )
        job: Job = pickle.loads(pickled_job)  # noqa: S301 - of our own run
        if job.probe is not None and FileState.of(job.probe) is None:
            raise ClusterError(
                f"{self.machine} has no {job.probe}: workers open the recordings themselves; give "
                "URLs, or a folder that all machines share at the same path"
            )
        folder = job.shipped.find()
        if folder is None and files is not None:
            import ray

            fetching = {path: functools.partial(ray.get, ref) for path, ref in files.items()}
            folder = job.shipped.receive(fetching)
        return None if folder is None else self._start(job, folder)

    def exchange(self, items: Sequence[InputFile]) -> list[Result]:
        """Queue recordings, and wait for results; all that are there, one at least.

        Args:
            items: the recordings; may be empty while some of earlier calls are not answered.
        """
        for item in items:
            self.given.put(item)
        results = [self.made.get()]
        while not self.made.empty():
            results.append(self.made.get())
        for result in results:
            if isinstance(result, Exception):
                raise result
        return [result for result in results if isinstance(result, Result)]

    def _start(self, job: Job, folder: Path) -> Ready:
        settings = dataclasses.replace(job.model, model=str(folder))
        recognizer = Recognizer.load(**dataclasses.asdict(settings))
        together = recognizer.encoder.batch_size
        if together == 1 and (job.batch_size or 1) > 1:
            raise OptionError(
                f"--batch-size {job.batch_size} is for a GPU; on {recognizer.provider}, which "
                f"runs on {self.machine}, recordings are encoded one by one, which is as fast"
            )
        run = run_digest(recognizer, job.settings)
        recognition = Recognition(recognizer, job.settings, run, job.batch_size)
        threading.Thread(target=self._work, args=(recognition,), daemon=True).start()
        engine = f"{recognizer.provider} in {recognizer.precision}"
        return Ready(self.machine, run, engine, min(together, job.batch_size or together))

    def _work(self, recognition: Recognition) -> None:
        def items() -> Iterator[InputFile]:
            while True:
                yield self.given.get()

        try:
            for result in recognition.results(items()):
                self.made.put(result.complete())
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            self.made.put(error)
