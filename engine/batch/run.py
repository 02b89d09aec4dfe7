"""One run of a batch: the recordings that remain, their outcomes, and the tables at the end."""

from __future__ import annotations

import contextlib
import hashlib
import json
import signal
import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict

from ..errors import AudioError, OutputError
from ..recognizer import Recognizer
from ..settings import CONFIDENT
from .discover import InputFile
from .outcome import Executor, Outcome, failure
from .output.folder import OutputFolder
from .output.rows import FailureRow, FileState, ResultRow
from .output.summary import RunProgress, State, Summary, Tally, csv_lines, turn_csv_lines
from .recognition import result_place
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


def remaining(folder: OutputFolder, items: Sequence[InputFile], run: str) -> list[InputFile]:
    """The items without a result that was made under this run, from the file as it is now."""
    wanted = {item.file: item for item in items}
    done = set()
    for row in folder.results.rows():
        item = wanted.get(row.file)
        if item is not None and _is_current(row, item, run, folder):
            done.add(row.file)
    return [item for item in items if item.file not in done]


def _is_current(row: ResultRow, item: InputFile, run: str, folder: OutputFolder) -> bool:
    return (
        row.run == run
        and row.source is not None
        and row.source == FileState.of(item.path)
        and row.result == result_place(item)
        and folder.has(row.result)
    )


class BatchRun:
    """One run of a batch in its output folder.

    Args:
        folder: the output folder.
        items: everything that was asked for.
        run: digest of the model and the settings.
        confident_from: confidence from which a result counts as confident.
    """

    def __init__(
        self,
        folder: OutputFolder,
        items: Sequence[InputFile],
        run: str,
        confident_from: float = CONFIDENT,
    ) -> None:
        self.folder = folder
        self.items = items
        self.confident_from = confident_from
        self.todo = remaining(folder, items, run)
        """The items that an earlier run has not done."""
        self.progress = RunProgress(len(self.todo), skipped=len(items) - len(self.todo))
        self.summary: Summary | None = None
        """Set at the end of the run."""

    def outcomes(self, executor: Executor) -> Generator[Outcome, None, None]:
        """Log each outcome and, whatever ends the run, make the tables and the summary.

        Args:
            executor: works on the recordings.

        Raises:
            E2VError: what ends the run early, such as a full disk; the results so far are kept.
        """
        # Failures are tried again.
        self.folder.failures.sort(drop=frozenset(item.file for item in self.items))
        self.folder.remove("summary.json")
        state: State = "stopped"
        try:
            with contextlib.closing(self._outcomes(executor)) as outcomes:
                for outcome in outcomes:
                    if isinstance(outcome.row, FailureRow):
                        self.folder.failures.append(outcome.row)
                    else:
                        self.folder.results.append(outcome.row)
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
        for item in self.todo:
            if item.problem is not None:
                yield failure(item, AudioError(f"{item.file}: {item.problem}"))
        usable = [item for item in self.todo if item.problem is None]
        with contextlib.closing(self.folder.keeping(executor).work(usable)) as outcomes:
            yield from outcomes

    def _finish(self, state: State) -> None:
        """Make the tables and the summary.

        Raises:
            OutputError: one of them cannot be written.
        """
        folder, tally = self.folder, Tally(self.confident_from)
        failed: OutputError | None = None
        try:
            folder.results.sort()
            folder.failures.sort()
            rows = tally.counted(folder.results.rows())
            folder.write("results.csv", csv_lines(rows, folder.results.labels()))
            if tally.turns is None:
                folder.remove("turns.csv")
            else:
                lines = turn_csv_lines(folder.results.rows(), folder.results.labels())
                folder.write("turns.csv", lines)
        except OutputError as error:
            failed = error
            state = "stopped" if state == "finished" else state
            with contextlib.suppress(OutputError):
                folder.remove("results.csv")  # those of an earlier run
                folder.remove("turns.csv")
            tally = Tally(self.confident_from)
            for _ in tally.counted(folder.results.rows()):
                pass
        folder.free_reserve()
        self.summary = tally.summary(state, len(folder.failures), self.progress)
        text = json.dumps(self.summary.to_dict(), ensure_ascii=False, allow_nan=False, indent=2)
        folder.write("summary.json", [text.encode(), b"\n"])
        if failed is not None:
            raise failed


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
