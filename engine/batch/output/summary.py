"""The tables at the end of a batch: ``results.csv``, ``turns.csv`` and ``summary.json``."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from ...results.writers.base import csv_row
from ...version import __version__
from ..outcome import Outcome
from ..rows import Answer, FailureRow, ResultRow

State: TypeAlias = Literal["finished", "interrupted", "stopped"]
"""The end of a run: all done; ended by the user; ended by an error."""


@dataclass
class RunProgress:
    """RunProgress of a run."""

    total: int
    """Recordings that the run has to do, of those that were found."""
    skipped: int = 0
    """Recordings that an earlier run has done."""
    done: int = 0
    """Recordings with a result."""
    failed: int = 0
    """Recordings without a result."""
    audio_seconds: float = 0.0
    """Length of the recordings with a result."""
    complete: bool = True
    """False while recordings are being found."""
    exit_codes: Counter[int] = field(default_factory=Counter)
    """Exit codes of the failures."""
    started: float = field(default_factory=time.time)
    """Seconds since the epoch, for display."""
    _began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Wall-clock seconds since the start."""
        return time.monotonic() - self._began

    @property
    def exit_code(self) -> int:
        """Exit code of the command: 1 if some recordings failed, that of the error if all did."""
        if not self.failed:
            return 0
        return 1 if self.done or self.skipped else max(self.exit_codes)

    def add(self, outcome: Outcome) -> None:
        """Count an outcome."""
        if isinstance(outcome.row, FailureRow):
            self.failed += 1
            self.exit_codes[outcome.row.exit_code] += 1
        else:
            self.done += 1
            self.audio_seconds += outcome.row.seconds


@dataclass(frozen=True)
class RunSummary:
    """One run of a batch."""

    started: str
    """Local date and time with the zone, ISO 8601."""
    seconds: float
    """Wall clock."""
    recognized: int
    failures: int
    skipped: int
    """Recordings that an earlier run has done."""
    remaining: int
    """Recordings that the run has found and not reached."""
    audio_seconds: float
    """Length of the recordings with a result."""

    @classmethod
    def of(cls, progress: RunProgress) -> RunSummary:
        """Summary of a run at its end."""
        started = time.localtime(progress.started)
        return cls(
            started=time.strftime("%Y-%m-%dT%H:%M:%S%z", started),
            seconds=round(progress.seconds, 3),
            recognized=progress.done,
            failures=progress.failed,
            skipped=progress.skipped,
            remaining=progress.total - progress.done - progress.failed,
            audio_seconds=round(progress.audio_seconds, 3),
        )

    @property
    def real_time_factor(self) -> float | None:
        """Wall-clock seconds for a second of audio; None without audio."""
        return self.seconds / self.audio_seconds if self.audio_seconds else None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "started": self.started,
            "seconds": self.seconds,
            "recognized": self.recognized,
            "failures": self.failures,
            "skipped": self.skipped,
            "remaining": self.remaining,
            "audio_seconds": self.audio_seconds,
            "real_time_factor": self.real_time_factor,
        }


@dataclass(frozen=True)
class Summary:
    """Everything in an output folder, and the run that ended last."""

    state: State
    recognized: int
    """Recordings with a result."""
    failures: int
    """Recordings without a result."""
    audio_seconds: float
    """Length of the recordings with a result."""
    turns: int | None
    """Turns of the recordings; None if no result is made of turns."""
    labels: Mapping[str, int]
    """Number of recordings or turns by label id, the most frequent first."""
    mean_confidence: float | None
    """Mean over the results; None if there is none."""
    confident_from: float
    """Confidence from which a result counts as confident."""
    confident: int
    """Recordings or turns with a confident result."""
    models: tuple[str, ...]
    """Each model and provider that gave results."""
    this_run: RunSummary

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "state": self.state,
            "files": self.recognized + self.failures,
            "recognized": self.recognized,
            "failures": self.failures,
            "audio_seconds": self.audio_seconds,
            **({} if self.turns is None else {"turns": self.turns}),
            "labels": dict(self.labels),
            "mean_confidence": self.mean_confidence,
            "confident": {
                "from": self.confident_from,
                "files" if self.turns is None else "turns": self.confident,
            },
            "models": list(self.models),
            "this_run": self.this_run.to_dict(),
            "version": __version__,
        }


class Tally:
    """Counts of results.

    Args:
        confident_from: confidence from which a result counts as confident.
    """

    def __init__(self, confident_from: float) -> None:
        self.confident_from = confident_from
        self.recognized = 0
        self.turns: int | None = None
        self.labels: Counter[str] = Counter()
        self.models: dict[str, None] = {}
        self.seconds = 0.0
        self.confidence = 0.0
        self.confident = 0

    def counted(self, rows: Iterable[ResultRow]) -> Iterator[ResultRow]:
        """The rows, each counted as it passes."""
        for row in rows:
            self.recognized += 1
            if row.turns is not None:
                self.turns = (self.turns or 0) + len(row.turns)
            self.models[f"{row.model} on {row.provider}"] = None
            self.seconds += row.seconds
            for answer in row.answers:
                self.labels[answer.emotion] += 1
                self.confidence += answer.confidence
                self.confident += answer.confidence >= self.confident_from
            yield row

    def summary(self, state: State, failures: int, progress: RunProgress) -> Summary:
        """The summary of what was counted.

        Args:
            state: end of the run.
            failures: recordings without a result.
            progress: of the run.
        """
        count = self.labels.total()
        return Summary(
            state=state,
            recognized=self.recognized,
            failures=failures,
            audio_seconds=round(self.seconds, 3),
            turns=self.turns,
            labels=dict(self.labels.most_common()),
            mean_confidence=self.confidence / count if count else None,
            confident_from=self.confident_from,
            confident=self.confident,
            models=tuple(self.models),
            this_run=RunSummary.of(progress),
        )


def csv_lines(rows: Iterable[ResultRow], labels: Iterable[str]) -> Iterator[bytes]:
    """Results as CSV, a line for each recording; without an emotion where it has turns.

    Args:
        rows: the results.
        labels: label ids, each of which has a column of scores.
    """
    labels = list(labels)
    yield csv_row(
        ["file", "id", "seconds", "emotion", "confidence", *labels, "warnings", "model",
         "provider", "result"]
    ).encode()  # fmt: skip
    for row in rows:
        answer = _answer_cells(row.answers[0] if row.turns is None else None, labels)
        yield csv_row(
            [row.file, row.id or "", f"{row.seconds:.3f}", *answer, " ".join(row.warnings),
             row.model, row.provider, row.result]
        ).encode()  # fmt: skip


def turn_csv_lines(rows: Iterable[ResultRow], labels: Iterable[str]) -> Iterator[bytes]:
    """Turns as CSV, a line for each; arguments as :func:`csv_lines`."""
    labels = list(labels)
    yield csv_row(
        ["file", "id", "start", "end", "speaker", "emotion", "confidence", *labels, "warnings",
         "result"]
    ).encode()  # fmt: skip
    for row in rows:
        for turn in row.turns or ():
            span = [f"{turn.values[name]:.3f}" for name in ("start", "end")]
            yield csv_row(
                [row.file, row.id or "", *span, turn.values.get("speaker") or "",
                 *_answer_cells(turn, labels), " ".join(turn.warnings), row.result]
            ).encode()  # fmt: skip


def _answer_cells(answer: Answer | None, labels: list[str]) -> list[str]:
    """Emotion, confidence and scores; empty without an answer."""
    if answer is None:
        return [""] * (2 + len(labels))
    scores = answer.scores
    return [
        answer.emotion,
        f"{answer.confidence:.6f}",
        *(f"{scores[label]:.6f}" if label in scores else "" for label in labels),
    ]
