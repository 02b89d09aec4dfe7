"""Parquet files with a column of audio, or of paths of recordings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from ..audio.types import StoredRecording
from ..errors import MissingExtraError, UndecodableAudioError
from ..files import printable
from ..objects import READ_BYTES, is_url, open_blocks
from .columns import cell_source, choose_column
from .members import Member, read_errors

TABLE_SUFFIX = ".parquet"


class AudioTable:
    """A Parquet file with a column of recordings or of their paths, read a row at a time.

    Args:
        path: path or URL.
        column: name of the column; None finds it.
    """

    def __init__(self, path: str, column: str | None = None) -> None:
        self.path = path
        self.name = printable(path)
        self.column = column

    def members(self) -> Iterator[Member]:
        """The recordings, each named by the number of its row; as :meth:`.Dataset.members`.

        Raises:
            OptionError: there is no column of audio.
        """
        pyarrow, parquet = pyarrow_modules()
        try:
            with read_errors(self.name), open_blocks(self.path) as blocks:
                # Buffered: else a column is read a whole group of rows at a time.
                file = parquet.ParquetFile(
                    blocks, buffer_size=READ_BYTES, page_checksum_verification=True
                )
                column = choose_column(self.name, _types(pyarrow, file.schema_arrow), self.column)
                yield from self._rows(file, column, pyarrow.ArrowException)
        except pyarrow.ArrowException as error:
            raise UndecodableAudioError(f"{self.name}: is no whole Parquet file: {error}") from None

    def _rows(self, file: Any, column: str, failure: type[Exception]) -> Iterator[Member]:
        end = 0
        for group in range(file.num_row_groups):
            row, end = end, end + file.metadata.row_group(group).num_rows
            try:
                for batch in file.iter_batches(1, row_groups=[group], columns=[column]):
                    yield self._member(row, batch.column(0)[0].as_py())
                    row += 1
            except (OSError, failure) as error:
                # The other groups may be whole.
                name = f"{row}-{end - 1}"
                problem = f"these rows cannot be read: {error}"
                yield Member(name, StoredRecording(f"{self.name}#{name}", problem=problem))

    def _member(self, row: int, cell: Any) -> Member:
        folder = self.path.rpartition("/")[0] if is_url(self.path) else os.path.dirname(self.path)
        source, path = cell_source(f"{self.name}#{row}", cell, folder)
        return Member(str(row), source, path)


def pyarrow_modules() -> tuple[Any, Any]:
    """The modules ``pyarrow`` and ``pyarrow.parquet``.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError(
            "Parquet needs pyarrow: pip install 'emotion2vec-edge[parquet]'"
        ) from None
    return pyarrow, pyarrow.parquet


def _types(pyarrow: Any, schema: Any) -> dict[str, str]:
    """The type of each column, as :func:`choose_column` takes them."""
    return {field.name: _type(pyarrow.types, field.type) for field in schema}


def _type(kinds: Any, type_: Any) -> str:
    if kinds.is_struct(type_):
        within = {field.name: _type(kinds, field.type) for field in type_}
        return "audio" if within.get("bytes") == "audio" else "struct"
    if kinds.is_binary(type_) or kinds.is_large_binary(type_):
        return "audio"
    return "text" if kinds.is_string(type_) or kinds.is_large_string(type_) else str(type_)
