"""The outcome of one recording of a batch, and what the executors that make outcomes agree on."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Protocol

from ..errors import E2VError
from .inputs.input_file import InputFile
from .rows import FailureRow, ResultRow


@dataclass(frozen=True)
class Outcome:
    """The row of one recording, whose files are written."""

    item: InputFile
    row: ResultRow | FailureRow


class Executor(Protocol):
    """Works through recordings, in this process or in others."""

    def work(self, items: Iterable[InputFile]) -> Generator[Outcome, None, None]:
        """The outcome of each item, when it is there.

        Raises:
            OutputError: results cannot be written.
            E2VError: no result can be made at all.
        """


def failure(item: InputFile, error: E2VError) -> Outcome:
    """The outcome of a recording that could not be used."""
    if type(error) is E2VError and error.__cause__ is not None:  # a fault that knows no file
        name, message = type(error.__cause__).__name__, f"{item.file}: {error}"
    else:
        name, message = type(error).__name__, str(error)
    return Outcome(item, failure_row(item, name, message, error.exit_code))


def failure_row(item: InputFile, error: str, message: str, exit_code: int) -> FailureRow:
    """The row of a recording that could not be used."""
    encodable = message.encode("utf-8", "backslashreplace").decode()
    return FailureRow(item.file, error, encodable, exit_code)
