"""One recording of a batch, and the state by which a change of it is noticed."""

from __future__ import annotations

import base64
import os
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ...audio.types import StoredRecording
from ...datasets.members import Dataset
from ...files import printable
from ...objects import is_url, object_state


@dataclass(frozen=True)
class FileState:
    """Size and time of a file, by which a change is noticed."""

    bytes: int
    mtime_ns: int
    """Nanoseconds since 1970; 0 for a recording out of a table, which has no time."""
    crc32: int | None = None
    """Checksum of a recording without a time."""

    @classmethod
    def of(cls, path: str) -> FileState | None:
        """State of a file; None if there is none."""
        if is_url(path):
            try:
                found = object_state(path)
            except OSError:
                return None
            return cls(found.bytes, found.mtime_ns)
        try:
            status = os.stat(path)
        except (OSError, ValueError):
            return None
        return cls(status.st_size, status.st_mtime_ns)

    def to_dict(self) -> dict[str, int]:
        """JSON-ready form."""
        crc32 = {} if self.crc32 is None else {"crc32": self.crc32}
        return {"bytes": self.bytes, "mtime_ns": self.mtime_ns, **crc32}


@dataclass(frozen=True)
class InputFile:
    """One recording of a batch."""

    path: str
    """Path to open."""
    place: str
    """Place of its results, relative to the folder of results, with forward slashes."""
    id: str | None = None
    """Utterance id, from a Kaldi list."""
    problem: str | None = None
    """Reason why it cannot be used, if it is known already."""
    stored: StoredRecording | None = None
    """The recording, if it is a part of a dataset."""
    state: FileState | None = None
    """State of what is read, if it is a part of a dataset."""
    dataset: Dataset | None = field(default=None, repr=False, compare=False)
    """The dataset that this is, in place of a recording."""

    @property
    def source(self) -> StoredRecording | str:
        """The recording, to be opened."""
        return self.path if self.stored is None else self.stored

    def current_state(self) -> FileState | None:
        """State of what is read, now; None if there is nothing."""
        return FileState.of(self.path) if self.state is None else self.state

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form of a recording."""
        values = asdict(replace(self, dataset=None))
        if self.stored is not None and self.stored.content is not None:
            values["stored"]["content"] = base64.b64encode(self.stored.content).decode()
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> InputFile:
        """The recording that :meth:`to_dict` described."""
        stored, state = values["stored"], values["state"]
        if stored is not None:
            content = stored["content"]
            stored["content"] = None if content is None else base64.b64decode(content)
        return cls(
            **{
                **values,
                "stored": stored and StoredRecording(**stored),
                "state": state and FileState(**state),
            }
        )

    @property
    def file(self) -> str:
        """The path as text that can be encoded, whatever bytes it is made of."""
        return printable(self.path)

    @property
    def printable_id(self) -> str | None:
        """The id as text that can be encoded."""
        return None if self.id is None else printable(self.id)
