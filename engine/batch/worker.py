"""Works through recordings: decodes some ahead, encodes one or several, writes their files."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..audio.normalized import NormalizedRecording
from ..audio.recording import Recording
from ..errors import AudioError, E2VError, OptionError, ProviderError
from ..files import put
from ..recognizer import Recognizer
from ..results.encoding import Encoding
from ..results.report import Report, json_text
from ..results.writers.registry import SEGMENT_WRITERS
from .discover import InputFile
from .settings import BatchSettings

AHEAD = 2
"""Recordings that are decoded while another one is encoded."""

DECODERS = 4
"""Threads that decode for a GPU."""

TOGETHER = 16
"""Recordings that a GPU encodes together, where nothing else is said."""

Taken: TypeAlias = "tuple[NormalizedRecording, dict[str, int]]"
"""A recording that was read once, and what tells whether its file is still the same."""


@dataclass(frozen=True)
class Outcome:
    """What became of one recording: a line of ``results.jsonl`` or of ``failures.jsonl``."""

    item: InputFile
    row: dict[str, Any]
    failed: bool = False


def failure(item: InputFile, error: str, message: str, exit_code: int) -> Outcome:
    """A recording that could not be used, and why."""
    row = {"file": item.file, "error": error, "message": message, "exit_code": exit_code}
    return Outcome(item, row, failed=True)


class Worker:
    """Works through recordings: decodes some ahead, encodes one or several, writes their files.

    Args:
        recognizer: the model.
        folder: path of the output folder.
        settings: what is made of each recording.
        run: the digest of model and settings, noted in each row.
        together: recordings that are encoded together; more than one where there is a GPU.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        folder: Path,
        settings: BatchSettings,
        run: str,
        together: int = 1,
    ) -> None:
        self.recognizer = recognizer
        self.folder = folder
        self.settings = settings
        self.run = run
        self.together = together

    def work(self, take: Callable[[bool], InputFile | None]) -> Iterator[Outcome]:
        """The outcome of each item, in order.

        Args:
            take: gives the next item; None if there is none at present or, told to wait, no more.

        Raises:
            OutputError: results cannot be written; ModelError: the model cannot serve.
        """
        waiting: deque[tuple[InputFile, Future[Taken]]] = deque()
        ahead = AHEAD if self.together == 1 else 2 * self.together
        # A GPU takes in more than one processor decodes.
        with ThreadPoolExecutor(1 if self.together == 1 else DECODERS) as decoder:
            try:
                while True:
                    while len(waiting) <= ahead and (item := take(not waiting)):
                        waiting.append((item, decoder.submit(self._take_in, item)))
                    if not waiting:
                        return
                    for outcome in self._outcomes(list(waiting)[: self.together]):
                        waiting.popleft()
                        yield outcome
            finally:
                for _, taken in waiting:
                    if not taken.cancel() and taken.exception() is None:
                        taken.result()[0].close()

    def _take_in(self, item: InputFile) -> Taken:
        if item.problem is not None:
            raise AudioError(f"{item.file}: {item.problem}")
        source = source_of(item)
        recording = Recording(item.path, **asdict(self.settings.intake))
        try:
            return self.recognizer.take_in(recording), source
        except BaseException:
            recording.close()
            raise

    def _outcomes(self, group: list[tuple[InputFile, Future[Taken]]]) -> Iterator[Outcome]:
        """The outcomes of recordings that are encoded together, in order."""
        encodings: dict[int, Encoding] = {}
        usable = [i for i, (_, taken) in enumerate(group) if taken.exception() is None]
        if len(usable) > 1:
            # What fails together is tried alone: one of them is no reason to give up the others.
            with contextlib.suppress(AudioError, OptionError, ProviderError):
                intakes = [group[i][1].result()[0] for i in usable]
                encoded = self.recognizer.encode_intakes(intakes)
                encodings = dict(zip(usable, encoded, strict=True))
        for number, (item, taken) in enumerate(group):
            yield self._outcome(item, taken, encodings.get(number))

    def _outcome(
        self, item: InputFile, taken: Future[Taken], encoding: Encoding | None = None
    ) -> Outcome:
        try:
            intake, source = taken.result()
            try:
                encoding = encoding or self.recognizer.encode_intake(intake)
                return Outcome(item, self._row(item, encoding, source))
            finally:
                intake.close()
        except (AudioError, OptionError, ProviderError) as error:
            return failure(item, type(error).__name__, str(error), error.exit_code)
        except (E2VError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours must not stop a night's work
            return failure(item, type(error).__name__, f"internal error: {error}", 1)

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
            put(self.folder, report.embedding, [content.getvalue()])
        for format_ in self.settings.formats:
            lines = io.StringIO()
            writer = SEGMENT_WRITERS[format_](lines, several=False)
            writer.write(report)
            writer.close()
            name = f"results/{item.place}{SEGMENT_WRITERS[format_].suffix}"
            put(self.folder, name, [lines.getvalue().encode()])
        result = f"results/{item.place}.json"
        text = itertools.chain(json_text(report, 2), "\n")
        put(self.folder, result, (piece.encode() for piece in text))
        row = report.to_dict()
        if item.id is not None:
            row["id"] = item.id
        return {**row, "result": result, "source": source, "run": self.run}


def source_of(item: InputFile) -> dict[str, int]:
    """What tells whether a file is still the one that was recognized."""
    try:
        status = os.stat(item.path)  # noqa: PTH116 - one call for text
    except (OSError, ValueError):
        return {}
    return {"bytes": status.st_size, "mtime_ns": status.st_mtime_ns}
