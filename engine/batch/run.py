"""One run of a batch: what remains to be done, the log, and the summary at the end."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, field

from ..errors import AudioError, OutputError
from ..files import write_file
from ..recognizer import Recognizer
from ..version import __version__
from .discover import InputFile
from .folder import OutputFolder, csv_rows
from .settings import BatchSettings
from .worker import Executor, Outcome, failure, source_of

CONFIDENT = 0.7


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


def remaining(folder: OutputFolder, items: Sequence[InputFile], run: str) -> list[InputFile]:
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
    items: Sequence[InputFile],
    todo: Sequence[InputFile],
    executor: Executor,
    progress: Progress,
    confident: float = CONFIDENT,
) -> Generator[Outcome, None, None]:
    """Log each outcome, and at the end, whatever it is, make the tables and the summary.

    Args:
        folder: where the results go.
        items: everything that was asked for.
        todo: the items that remain to be done.
        executor: works on them.
        progress: counts along.
        confident: the confidence from which on a result is counted as confident.
    """
    folder.failures.sort(drop=frozenset(item.file for item in items))  # they are tried again
    (folder.path / "summary.json").unlink(missing_ok=True)
    state = "stopped"
    try:
        with contextlib.closing(_outcomes(todo, executor)) as outcomes:
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
            rows = csv_rows(folder.results.rows(), labels)
            write_file(folder.path / "results.csv", rows, scratch=folder.work)
        except OutputError:
            (folder.path / "results.csv").unlink(missing_ok=True)  # that of an earlier run
            if state == "finished":
                raise


def _outcomes(todo: Sequence[InputFile], executor: Executor) -> Generator[Outcome, None, None]:
    for item in todo:
        if item.problem is not None:
            message = f"{item.file}: {item.problem}"
            yield failure(item, AudioError.__name__, message, AudioError.exit_code)
    usable = [item for item in todo if item.problem is None]
    with contextlib.closing(executor.work(usable)) as outcomes:
        yield from outcomes


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
    write_file(folder.path / "summary.json", text.encode(), scratch=folder.work)
    return list(labels)
