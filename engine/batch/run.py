"""One run of a batch: the recordings that remain, their outcomes, and the tables at the end."""

from __future__ import annotations

import contextlib
import hashlib
import json
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, replace

from ..errors import AudioError, E2VError, OutputError
from ..recognizer import Recognizer
from ..settings import CONFIDENT
from .inputs.input_file import InputFile
from .inputs.members import recordings
from .outcome import Executor, Outcome, failure
from .output.folder import RESULT_TABLES, OutputFolder
from .output.parquet import ParquetTables
from .output.summary import RunProgress, State, Summary, Tally, csv_lines, turn_csv_lines
from .recognition import result_place
from .rows import FailureRow
from .settings import BatchSettings


def run_digest(recognizer: Recognizer, settings: BatchSettings) -> str:
    """Digest of the model's files and the settings: results under the same one are comparable."""
    variant = recognizer.bundle.variant(recognizer.precision)
    identity = {
        "files": [file.sha256 for file in variant.files],
        "head": recognizer.bundle.manifest.head and recognizer.bundle.manifest.head.sha256,
        "temperature": recognizer.encoder.head.temperature,
        "reject_below": recognizer.reject_below,
        "labels": recognizer.labels,
        "chunking": asdict(recognizer.encoder.chunking),
        "settings": asdict(settings),
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def is_current(folder: OutputFolder, item: InputFile, run: str) -> bool:
    """True if a result was made under this run, from the recording as it is now."""
    row = folder.results.row(item.file)
    return (
        row is not None
        and row.run == run
        and row.source is not None
        and row.source == item.current_state()
        and row.result == result_place(item)
        and folder.has(row.result)
    )


class BatchRun:
    """One run of a batch in its output folder.

    Args:
        folder: the output folder.
        items: everything that was asked for; the recordings of datasets among it are found while
            the run goes on.
        run: digest of the model and the settings.
        confident_from: confidence from which a result counts as confident.
        parquet: makes the tables as Parquet too; None makes CSV alone.
    """

    def __init__(
        self,
        folder: OutputFolder,
        items: Sequence[InputFile],
        run: str,
        confident_from: float = CONFIDENT,
        parquet: ParquetTables | None = None,
    ) -> None:
        self.folder = folder
        self.items = items
        self.run = run
        self.confident_from = confident_from
        self.parquet = parquet
        self.progress = RunProgress(0, complete=False)
        self.summary: Summary | None = None
        """The summary of the run; None until its end."""
        self._mended: set[str] = set()
        """Recordings that failed in an earlier run, and that have a result."""
        self._unusable: deque[Outcome] = deque()
        """Failures that were met while recordings were found."""
        self._todo = self._found()
        if not any(item.dataset for item in items):  # else they are found while the run goes on
            self._todo = iter(list(self._todo))

    def outcomes(self, executor: Executor) -> Generator[Outcome, None, None]:
        """Log each outcome and, whatever ends the run, make the tables and the summary.

        Args:
            executor: works on the recordings.

        Raises:
            E2VError: what ends the run early, such as a full disk; the results so far are kept.
        """
        self.folder.remove("summary.json")
        state: State = "stopped"
        try:
            with contextlib.closing(self._outcomes(executor)) as outcomes:
                for outcome in outcomes:
                    if isinstance(outcome.row, FailureRow):
                        self.folder.failures.append(outcome.row)
                    else:
                        self.folder.results.append(outcome.row)
                        self._mend(outcome.row.file)
                    self.progress.add(outcome)
                    yield outcome
            state = "finished"
        except (KeyboardInterrupt, GeneratorExit):
            state = "interrupted"
            raise
        finally:
            try:
                with _signals_held():
                    self._finish(state)
            except OutputError:
                if state == "finished":  # else the error that ended the run says more
                    raise

    def _outcomes(self, executor: Executor) -> Generator[Outcome, None, None]:
        with contextlib.closing(self.folder.keeping(executor).work(self._usable())) as outcomes:
            for outcome in outcomes:
                yield from self._met()
                yield outcome
        yield from self._met()

    def _met(self) -> Iterator[Outcome]:
        while self._unusable:
            yield self._unusable.popleft()

    def _usable(self) -> Iterator[InputFile]:
        """The items for the executor, which may pull them in another thread."""
        for item in self._todo:
            if item.problem is None:
                yield item
            else:
                error = AudioError(f"{item.file}: {item.problem}")
                self._unusable.append(failure(item, error))

    def _mend(self, file: str) -> None:
        if file in self.folder.failures:
            self._mended.add(file)

    def _found(self) -> Iterator[InputFile]:
        """The recordings that an earlier run has not done."""
        seen: set[str] = set()
        for item in self.items:
            try:
                for recording in recordings(item):
                    if recording.stored is None:  # tables may name a file that others name too
                        if recording.file in seen:
                            continue
                        seen.add(recording.file)
                    if is_current(self.folder, recording, self.run):
                        self.progress.skipped += 1
                        self._mend(recording.file)
                    else:
                        self.progress.total += 1
                        yield recording
                if item.dataset is not None:  # it was read to its end
                    self._mend(item.file)
            except E2VError as error:
                self.progress.total += 1
                self._unusable.append(failure(item, error))
        self.progress.complete = True

    def _finish(self, state: State) -> None:
        """Make the tables and the summary.

        Raises:
            OutputError: one of them cannot be written.
        """
        folder, tally = self.folder, Tally(self.confident_from)
        failed: OutputError | None = None
        stale = list(RESULT_TABLES)
        try:
            folder.results.sort()
            folder.failures.sort(drop=frozenset(self._mended))
            self._write_tables(tally, stale, finished=state == "finished")
        except OutputError as error:
            failed = error
            state = "stopped" if state == "finished" else state
            for name in stale:
                with contextlib.suppress(OutputError):
                    folder.remove(name)
            tally = Tally(self.confident_from)
            for _ in tally.counted(folder.results.rows()):
                pass
        folder.free_reserve()
        self.summary = tally.summary(state, len(folder.failures), self.progress)
        text = json.dumps(self.summary.to_dict(), ensure_ascii=False, allow_nan=False, indent=2)
        folder.write("summary.json", [text.encode(), b"\n"])
        if failed is not None:
            raise failed

    def _write_tables(self, tally: Tally, stale: list[str], *, finished: bool) -> None:
        """Write the tables, and remove those that an earlier run alone has asked for.

        Args:
            tally: counts the results.
            stale: names of the tables that may be of an earlier run; those that are made are taken
                out.
            finished: False for a run that ended early, which does not wait for embeddings: each of
                them may be a request to a store.

        Raises:
            OutputError: one of them cannot be written or removed.
        """
        folder, labels, parquet = self.folder, self.folder.results.labels(), self.parquet
        if parquet is not None and not finished:
            parquet = replace(parquet, embeddings=False)
        folder.write("results.csv", csv_lines(tally.counted(folder.results.rows()), labels))
        stale.remove("results.csv")
        others: dict[str, Iterator[bytes]] = {}
        if parquet is not None:
            others["results.parquet"] = parquet.results(folder)
        if tally.turns is not None:
            others["turns.csv"] = turn_csv_lines(folder.results.rows(), labels)
            if parquet is not None:
                others["turns.parquet"] = parquet.turns(folder)
        for name in RESULT_TABLES[1:]:
            if name in others:
                folder.write(name, others[name])
            else:
                folder.remove(name)
            stale.remove(name)


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Hold back Ctrl-C and SIGTERM to the end of the block, but not a second one."""
    held: list[int] = []

    def hold(number: int, _: object) -> None:
        if held:  # files are whole or absent in any case
            raise KeyboardInterrupt
        held.append(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, hold)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for came in held:
            signal.raise_signal(came)
