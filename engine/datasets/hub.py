"""Datasets that Hugging Face's ``datasets`` loads, streamed."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from typing import Any

from ..audio.types import StoredRecording
from ..errors import AudioReadError, E2VError, MissingExtraError, OptionError
from ..files import printable
from .columns import cell_source, choose_column
from .members import Member


class HubDataset:
    """A split of a dataset on the hub, or of one in a folder, streamed: nothing is kept on disk.

    Args:
        path: ``owner/name`` on the hub, or a folder.
        split: name of the split.
        config: name of the configuration; None takes the only one.
        revision: branch, tag or commit on the hub; None takes the default.
        column: name of the column of audio; None finds it.
    """

    def __init__(
        self, path: str, split: str, config: str | None = None, revision: str | None = None,
        column: str | None = None,
    ) -> None:  # fmt: skip
        self.path = path
        self.split = split
        self.config = config
        self.revision = revision
        self.column = column
        self.name = printable("/".join(filter(None, (path, config, split))))

    def members(self) -> Iterator[Member]:
        """The recordings, each named by the number of its row; as :meth:`.Dataset.members`.

        Raises:
            OptionError: there is no such dataset, configuration, split, or column of audio.
        """
        rows = self.check()
        try:
            for number, row in enumerate(rows):
                yield self._member(number, row)
        except E2VError:
            raise
        except Exception as error:
            raise AudioReadError(f"{self.name}: cannot be read further: {error}") from error

    def check(self) -> Any:
        """Open the dataset; its rows, of which each has the one column ``audio``.

        Raises:
            OptionError, MissingExtraError: as :meth:`members`.
        """
        try:
            datasets: Any = importlib.import_module("datasets")
        except ImportError:
            raise MissingExtraError(
                "a dataset needs datasets: pip install 'emotion2vec-edge[datasets]'"
            ) from None
        try:
            rows = datasets.load_dataset(
                self.path, self.config, split=self.split, revision=self.revision, streaming=True
            )
            features = rows.features or rows._resolve_features().features or {}  # noqa: SLF001
        except Exception as error:
            text = str(error).strip().partition("\n")[0] or type(error).__name__
            raise OptionError(f"dataset {self.name}: {text}") from error
        types = {name: _type(datasets, feature) for name, feature in features.items()}
        column = choose_column(f"dataset {self.name}", types, self.column)
        if isinstance(features[column], datasets.Audio):
            rows = rows.cast_column(column, _undecoded(datasets))
        return rows.select_columns([column]).rename_columns(
            {} if column == "audio" else {column: "audio"}
        )

    def _member(self, number: int, row: Any) -> Member:
        name = f"{self.name}#{number}"
        source, path = cell_source(name, row["audio"], self.path)
        if isinstance(source, str) and not os.path.exists(source):
            source = StoredRecording(name, self._fetched(source))
        return Member(str(number), source, path and os.path.basename(path))

    def _fetched(self, path: str) -> bytes:
        """Content of a file beside the table, by the address that ``datasets`` gives it."""
        core: Any = importlib.import_module("fsspec")
        with core.open(path, "rb") as file:
            content: bytes = file.read()
        return content


def _undecoded(datasets: Any) -> Any:
    """A type of column that leaves audio as it is; the package's own needs torch even for that."""

    class Undecoded(datasets.Audio):  # type: ignore[misc]
        def encode_example(self, value: Any) -> Any:
            return value if isinstance(value, dict) else {"bytes": None, "path": str(value)}

    return Undecoded(decode=False)


def _type(datasets: Any, feature: Any) -> str:
    """The type of a column, as :func:`choose_column` takes it."""
    if isinstance(feature, datasets.Audio):
        return "audio"
    if isinstance(feature, dict):
        return "audio" if "bytes" in feature else "struct"
    kind = getattr(feature, "dtype", None) or type(feature).__name__
    return {"binary": "audio", "large_binary": "audio", "string": "text"}.get(kind, str(kind))
