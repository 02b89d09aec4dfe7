"""Works through recordings in this process."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..errors import E2VError
from ..files import write_file
from ..recognizer import Recognizer
from ..results.encoding import Encoding
from ..results.report import Report, json_text
from ..results.writers.registry import SEGMENT_WRITERS
from .discover import InputFile
from .settings import BatchSettings


@dataclass(frozen=True)
class Outcome:
    """What became of one recording: a line of ``results.jsonl`` or of ``failures.jsonl``."""

    item: InputFile
    row: dict[str, Any]
    failed: bool = False


class Executor(Protocol):
    """Works through recordings, in this process or in others."""

    def work(self, items: Iterable[InputFile]) -> Generator[Outcome, None, None]:
        """The outcome of each item, as it is there.

        Raises:
            OutputError: results cannot be written.
            ModelError: the model cannot serve.
        """


def failure(item: InputFile, error: str, message: str, exit_code: int) -> Outcome:
    """A recording that could not be used, and why."""
    row = {"file": item.file, "error": error, "message": message, "exit_code": exit_code}
    return Outcome(item, row, failed=True)


class Worker:
    """Works through recordings in this process: encodes them and writes their files.

    Args:
        recognizer: the model.
        folder: path of the output folder.
        settings: what is made of each recording.
        run: the digest of model and settings, noted in each row.
        batch_size: number of recordings that a GPU encodes together; None takes the default.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        folder: Path,
        settings: BatchSettings,
        run: str,
        batch_size: int | None = None,
    ) -> None:
        self.recognizer = recognizer
        self.folder = folder
        self.settings = settings
        self.run = run
        self.batch_size = batch_size

    def work(self, items: Iterable[InputFile]) -> Generator[Outcome, None, None]:
        """The outcome of each item, in order.

        Args:
            items: what to work on; pulled in another thread, a few items ahead.

        Raises:
            OutputError: results cannot be written.
            ModelError: the model cannot serve.
        """
        pulled: deque[tuple[InputFile, dict[str, int]]] = deque()

        def paths() -> Iterator[str]:
            for item in items:
                pulled.append((item, source_of(item)))
                yield item.path

        results = self.recognizer.encode_many(
            paths(), **asdict(self.settings.intake), batch_size=self.batch_size, errors="return"
        )
        with contextlib.closing(results):
            for result in results:
                yield self._outcome(*pulled.popleft(), result)

    def _outcome(
        self, item: InputFile, source: dict[str, int], result: Encoding | E2VError
    ) -> Outcome:
        if isinstance(result, E2VError):
            kind = type(result.__cause__ or result).__name__
            return failure(item, kind, str(result), result.exit_code)
        return Outcome(item, self._row(item, result, source))

    def _row(self, item: InputFile, encoding: Encoding, source: dict[str, int]) -> dict[str, Any]:
        settings = self.settings.report
        framed = settings.granularity == "frame" or self.settings.formats
        report = Report(
            file=item.file,
            utterance=encoding.utterance(),
            timeline=encoding.timeline(settings.window, settings.hop) if framed else None,
            top=settings.top,
            embedding=f"embeddings/{item.place}.npy" if self.settings.embeddings else None,
            min_segment=settings.min_segment,
        )
        if report.embedding is not None:
            content = io.BytesIO()
            np.save(content, encoding.embedding())
            self._write(report.embedding, [content.getvalue()])
        for format_ in self.settings.formats:
            lines = io.StringIO()
            writer = SEGMENT_WRITERS[format_](lines, several=False)
            writer.write(report)
            writer.close()
            name = f"results/{item.place}{SEGMENT_WRITERS[format_].suffix}"
            self._write(name, [lines.getvalue().encode()])
        result = f"results/{item.place}.json"
        text = itertools.chain(json_text(report, 2), "\n")
        self._write(result, (piece.encode() for piece in text))
        row = report.to_dict()
        if item.id is not None:
            row["id"] = item.id
        return {**row, "result": result, "source": source, "run": self.run}

    def _write(self, name: str, content: Iterable[bytes]) -> None:
        write_file(self.folder / name, content, scratch=self.folder / ".work")


def source_of(item: InputFile) -> dict[str, int]:
    """What tells whether a file is still the one that was recognized."""
    try:
        status = os.stat(item.path)  # noqa: PTH116 - one call for text
    except (OSError, ValueError):
        return {}
    return {"bytes": status.st_size, "mtime_ns": status.st_mtime_ns}
