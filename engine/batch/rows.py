"""Rows of a batch's logs: what is written, and what counts as a row when a log is read again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from .inputs.input_file import FileState

MOST_SECONDS = 1e9
"""Longest recording that a row may state: 31 years."""


class RowError(ValueError):
    """A line or an object that is no row of a batch."""


class Row(Protocol):
    """One line of a log."""

    @property
    def file(self) -> str:
        """Printable path of the recording."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Label ids that have a score."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""


@dataclass(frozen=True)
class Answer:
    """An emotion: that of a recording, or of one of its turns."""

    values: Mapping[str, Any] = field(repr=False)
    """The recording or the turn, as the report has it."""

    @property
    def emotion(self) -> str:
        """Label id of the answer."""
        return str(self.values["emotion"])

    @property
    def confidence(self) -> float:
        """Score of the answer."""
        return float(self.values["confidence"])

    @property
    def scores(self) -> Mapping[str, float]:
        """Probabilities by label id."""
        scores: Mapping[str, float] = self.values["scores"]
        return scores

    @property
    def warnings(self) -> tuple[str, ...]:
        """Codes of the warnings."""
        return tuple(warning["code"] for warning in self.values["warnings"])


@dataclass(frozen=True)
class ResultRow:
    """A line of ``results.jsonl``: the report on a recording, and what it was made from."""

    report: Mapping[str, Any] = field(repr=False)
    """The report, with its turns, and without the windows of its timeline."""
    result: str
    """Path of the whole report, relative to the output folder."""
    source: FileState | None
    """State of the recording's file before it was read."""
    run: str
    """Digest of the model and the settings."""
    id: str | None = None
    """Utterance id, from a Kaldi list."""

    @property
    def file(self) -> str:
        """Printable path of the recording."""
        return str(self.report["file"])

    @property
    def turns(self) -> tuple[Answer, ...] | None:
        """The turns; None for the result of a whole recording."""
        turns = self.report.get("turns")
        return None if turns is None else tuple(map(Answer, turns))

    @property
    def answers(self) -> tuple[Answer, ...]:
        """The emotion of the recording, or those of its turns."""
        return (Answer(self.report),) if self.turns is None else self.turns

    @property
    def labels(self) -> tuple[str, ...]:
        """Label ids in the model's order; none without an answer."""
        return tuple(self.answers[0].scores) if self.answers else ()

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return float(self.report["seconds"])

    @property
    def model(self) -> str:
        """Name of the model."""
        return str(self.report["model"])

    @property
    def provider(self) -> str:
        """Name of the provider that ran it."""
        return str(self.report["provider"])

    @property
    def warnings(self) -> tuple[str, ...]:
        """Codes of the warnings about the recording."""
        return tuple(warning["code"] for warning in self.report["warnings"])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        own = {
            "result": self.result,
            "source": {} if self.source is None else self.source.to_dict(),
            "run": self.run,
        }
        return {**self.report, **({} if self.id is None else {"id": self.id}), **own}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> ResultRow:
        """Read a row.

        Raises:
            RowError: it is none.
        """
        for name in ("file", "model", "provider"):
            _text(document.get(name))
        _number(document.get("seconds"), MOST_SECONDS)
        _check_warnings(document)
        if document.get("turns") is None:
            _check_answer(document)
        else:
            for turn in _list(document["turns"]):
                _check_turn(_object(turn))
        own = {"id", "result", "source", "run"}
        return cls(
            report={name: value for name, value in document.items() if name not in own},
            result=_text(document.get("result")),
            source=_state(_object(document.get("source"))),
            run=_text(document.get("run")),
            id=None if document.get("id") is None else _text(document["id"]),
        )


@dataclass(frozen=True)
class FailureRow:
    """A line of ``failures.jsonl``: a recording without a result, and the reason."""

    file: str
    """Printable path of the recording."""
    error: str
    """Name of the error's class."""
    message: str
    exit_code: int
    labels: ClassVar[tuple[str, ...]] = ()
    """Label ids that have a score: none."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "file": self.file,
            "error": self.error,
            "message": self.message,
            "exit_code": self.exit_code,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> FailureRow:
        """Read a row.

        Raises:
            RowError: it is none.
        """
        return cls(
            _text(document.get("file")),
            _text(document.get("error")),
            _text(document.get("message")),
            int(_number(document.get("exit_code"), 255)),
        )


def row_line(row: Row) -> bytes:
    """A row as a line of JSON."""
    return json.dumps(row.to_dict(), ensure_ascii=False, allow_nan=False).encode() + b"\n"


def parse_line(line: bytes) -> Mapping[str, Any]:
    """The object of a line of JSON.

    Raises:
        RowError: the line is none.
    """
    try:
        return _object(json.loads(line, parse_constant=_refuse))
    except RecursionError:
        raise RowError("nested too deeply") from None
    except ValueError as error:
        raise RowError(str(error)) from None


def _refuse(constant: str) -> float:
    raise RowError(f"{constant} is no number of JSON")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise RowError("not a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RowError("not a text that can be encoded") from None
    return value


def _number(value: object, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise RowError(f"not a number from 0 to {most:g}")
    return value


def _object(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise RowError("not an object")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise RowError("not a list")
    return value


def _check_answer(document: Mapping[str, Any]) -> None:
    _text(document.get("emotion"))
    _number(document.get("confidence"), 1)
    for label, score in _object(document.get("scores")).items():
        _text(label)
        _number(score, 1)


def _check_turn(turn: Mapping[str, Any]) -> None:
    _check_answer(turn)
    _check_warnings(turn)
    for name in ("start", "end"):
        _number(turn.get(name), MOST_SECONDS)
    for name in ("speaker", "text"):
        if turn.get(name) is not None:
            _text(turn[name])


def _check_warnings(document: Mapping[str, Any]) -> None:
    for warning in _list(document.get("warnings")):
        _text(_object(warning).get("code"))


def _state(value: Mapping[str, Any]) -> FileState | None:
    if not value:
        return None
    size, time, crc32 = value.get("bytes"), value.get("mtime_ns"), value.get("crc32")
    if type(size) is not int or type(time) is not int or type(crc32) not in (int, type(None)):
        raise RowError("not the state of a file")
    return FileState(size, time, crc32)
