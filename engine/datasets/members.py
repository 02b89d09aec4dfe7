"""Members of datasets, and what all datasets agree on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from ..audio.types import StoredRecording
from ..errors import AudioNotFoundError, AudioReadError


@dataclass(frozen=True)
class Member:
    """One recording of a dataset."""

    name: str
    """Name that no other member of the dataset has."""
    source: StoredRecording | str
    """The recording, as :meth:`.Recognizer.encode` takes it; text is a path or a URL."""
    id: str | None = None
    """Name that the dataset gives it beside its number."""


class Dataset(Protocol):
    """Recordings that are found one after the other."""

    def members(self) -> Iterator[Member]:
        """The recordings in order; one that is damaged is among them, and fails when it is opened.

        Raises:
            AudioError: the dataset cannot be read, or not further than this.
            MissingExtraError: a package that reads it is not installed.
        """


@contextlib.contextmanager
def read_errors(name: str) -> Iterator[None]:
    """Turn a failure of the system to read a dataset in the block into an AudioError.

    Args:
        name: the dataset, for the message.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise AudioNotFoundError(f"{name}: {error.strerror or error}") from None
    except OSError as error:
        raise AudioReadError(f"{name}: cannot be read: {error.strerror or error}") from None
