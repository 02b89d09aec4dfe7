"""Many recordings → a folder of results, which a later run goes on from."""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from .audio import Recording
from .encoding import Encoding
from .errors import AudioError, E2VError, OptionError, OutputError, ProviderError
from .inputs import Item
from .intake import Intake
from .outputs import OutputFolder, csv_rows, put
from .recognizer import Recognizer
from .settings import IntakeSettings, ReportSettings
from .version import __version__
from .writers import SEGMENT_WRITERS, Format, Report, json_text

AHEAD = 2
"""Recordings that are decoded while another one is encoded."""

DECODERS = 4
"""Threads that decode for a GPU."""

TOGETHER = 16
"""Recordings that a GPU encodes together, where nothing else is said."""

Taken: TypeAlias = "tuple[Intake, dict[str, int]]"
"""A recording that was read once, and what tells whether its file is still the same."""

CONFIDENT = 0.7


@dataclass(frozen=True)
class BatchSettings:
    """What is made of each recording."""

    intake: IntakeSettings = field(default_factory=IntakeSettings)
    report: ReportSettings = field(default_factory=ReportSettings)
    formats: tuple[Format, ...] = ()
    """Formats with segments, each written beside the JSON."""
    embeddings: bool = False

    def check(self) -> None:
        """Refuse what cannot be; raises OptionError."""
        self.report.check()
        for format_ in self.formats:
            if format_ not in SEGMENT_WRITERS:
                raise OptionError(
                    f"format {format_!r} is not written by a batch; give "
                    f"{', '.join(SEGMENT_WRITERS)}, JSON and CSV come by themselves"
                )


@dataclass(frozen=True)
class Outcome:
    """What became of one recording: a line of ``results.jsonl`` or of ``failures.jsonl``."""

    item: Item
    row: dict[str, Any]
    failed: bool = False


def failure(item: Item, error: str, message: str, exit_code: int) -> Outcome:
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

    def work(self, take: Callable[[bool], Item | None]) -> Iterator[Outcome]:
        """The outcome of each item, in order.

        Args:
            take: gives the next item; None if there is none at present or, told to wait, no more.

        Raises:
            OutputError: results cannot be written; ModelError: the model cannot serve.
        """
        waiting: deque[tuple[Item, Future[Taken]]] = deque()
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

    def _take_in(self, item: Item) -> Taken:
        if item.problem is not None:
            raise AudioError(f"{item.file}: {item.problem}")
        source = source_of(item)
        recording = Recording(item.path, **asdict(self.settings.intake))
        try:
            return self.recognizer.take_in(recording), source
        except BaseException:
            recording.close()
            raise

    def _outcomes(self, group: list[tuple[Item, Future[Taken]]]) -> Iterator[Outcome]:
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
        self, item: Item, taken: Future[Taken], encoding: Encoding | None = None
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

    def _row(self, item: Item, encoding: Encoding, source: dict[str, int]) -> dict[str, Any]:
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


def source_of(item: Item) -> dict[str, int]:
    """What tells whether a file is still the one that was recognized."""
    try:
        status = os.stat(item.path)  # noqa: PTH116 - one call for text
    except (OSError, ValueError):
        return {}
    return {"bytes": status.st_size, "mtime_ns": status.st_mtime_ns}


def run_digest(recognizer: Recognizer, settings: BatchSettings) -> str:
    """What makes results of two runs comparable: the model's files and the settings."""
    variant = recognizer.bundle.variant(recognizer.precision)
    identity = {
        "files": [file.sha256 for file in variant.files],
        "head": recognizer.bundle.manifest.head and recognizer.bundle.manifest.head.sha256,
        "temperature": recognizer.encoder.head.temperature,
        "reject_below": recognizer.reject_below,
        "chunking": asdict(recognizer.encoder.chunking),
        "settings": asdict(settings),
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def remaining(folder: OutputFolder, items: Sequence[Item], run: str) -> list[Item]:
    """The items that are still to be done: not in the log as they are now, under this run."""
    wanted = {item.file: item for item in items}
    done: set[str] = set()
    for row in folder.results.rows():
        item = wanted.get(str(row.get("file")))
        if item is None:
            continue
        whole = row.get("run") == run and row.get("source") == source_of(item)
        if whole and row.get("result") == f"results/{item.place}.json":
            present = (folder.path / row["result"]).is_file()
            (done.add if present else done.discard)(item.file)
        else:
            done.discard(item.file)
    return [item for item in items if item.file not in done]


@dataclass
class Progress:
    """How far a run is."""

    total: int
    """Recordings that it has to do."""
    skipped: int = 0
    """Recordings that an earlier run has done."""
    done: int = 0
    failed: int = 0
    audio_seconds: float = 0.0
    started: float = field(default_factory=time.time)
    """Seconds since the epoch."""
    exit_codes: list[int] = field(default_factory=list)
    """Of the failures."""

    @property
    def seconds(self) -> float:
        """Wall clock since the start."""
        return time.time() - self.started

    def add(self, outcome: Outcome) -> None:
        """Count an outcome."""
        if outcome.failed:
            self.failed += 1
            self.exit_codes.append(outcome.row["exit_code"])
        else:
            self.done += 1
            self.audio_seconds += outcome.row["seconds"]


def run_batch(
    folder: OutputFolder,
    items: Sequence[Item],
    outcomes: Iterable[Outcome],
    progress: Progress,
    confident: float = CONFIDENT,
) -> Iterator[Outcome]:
    """Log each outcome, and at the end, whatever it is, make the tables and the summary.

    Args:
        folder: where the results go.
        items: everything that was asked for.
        outcomes: of the items that remain, from a worker or from several.
        progress: counts along.
        confident: the confidence from which on a result is counted as confident.
    """
    folder.failures.sort(drop=frozenset(item.file for item in items))  # they are tried again
    (folder.path / "summary.json").unlink(missing_ok=True)
    state = "stopped"
    try:
        for outcome in outcomes:
            (folder.failures if outcome.failed else folder.results).append(outcome.row)
            progress.add(outcome)
            yield outcome
        state = "finished"
    except (KeyboardInterrupt, GeneratorExit):
        state = "interrupted"
        raise
    finally:
        folder.free_reserve()
        labels = _write_summary(folder, progress, state, confident)
        try:
            folder.results.sort()
            folder.failures.sort()
            put(folder.path, "results.csv", csv_rows(folder.results.rows(), labels))
        except OutputError:
            (folder.path / "results.csv").unlink(missing_ok=True)  # that of an earlier run
            if state == "finished":
                raise


def _write_summary(
    folder: OutputFolder, progress: Progress, state: str, confident: float
) -> list[str]:
    counts: Counter[str] = Counter()
    labels: dict[str, None] = {}
    models: dict[str, None] = {}
    seconds = confidence = 0.0
    certain = 0
    for row in folder.results.rows():
        counts[row["emotion"]] += 1
        labels.update(dict.fromkeys(row["scores"]))
        models[f"{row['model']} on {row['provider']}"] = None
        seconds += row["seconds"]
        confidence += row["confidence"]
        certain += row["confidence"] >= confident
    count = counts.total()
    failures = sum(1 for _ in folder.failures.rows())
    summary = {
        "state": state,
        "files": count + failures,
        "recognized": count,
        "failures": failures,
        "audio_seconds": round(seconds, 3),
        "labels": dict(counts.most_common()),
        "mean_confidence": confidence / count if count else None,
        "confident": {"from": confident, "files": certain},
        "models": list(models),
        "this_run": {
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(progress.started)),
            "seconds": round(progress.seconds, 3),
            "recognized": progress.done,
            "failures": progress.failed,
            "skipped": progress.skipped,
            "remaining": progress.total - progress.done - progress.failed,
            "audio_seconds": round(progress.audio_seconds, 3),
            "real_time_factor": (
                progress.seconds / progress.audio_seconds if progress.audio_seconds else None
            ),
        },
        "version": __version__,
    }
    text = json.dumps(summary, ensure_ascii=False, indent=2) + "\n"
    put(folder.path, "summary.json", [text.encode()])
    return list(labels)
