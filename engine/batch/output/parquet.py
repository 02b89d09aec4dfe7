"""The tables of a batch as Parquet: ``results.parquet``, and ``turns.parquet`` for turns."""

from __future__ import annotations

import heapq
import io
import itertools
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...datasets.tables import pyarrow_modules
from ...errors import OutputError
from ...files import printable
from ..rows import Answer, FailureRow, ResultRow
from .folder import OutputFolder

GROUP_ROWS = 4_096
"""Rows of a row group, which are in memory together."""

READ_TOGETHER = 64
"""Recordings whose embeddings are in memory together."""

READERS = 8
"""Embeddings that are read at the same time; each may be a request to a store."""

RESULT_COLUMNS = ("file", "id", "seconds", "emotion", "confidence")
TURN_COLUMNS = ("file", "id", "start", "end", "speaker", "emotion", "confidence")
"""Columns before those of the scores."""

RESULT_ORIGIN = ("warnings", "model", "provider", "result", "error", "message")
TURN_ORIGIN = ("warnings", "result")
"""Columns after those of the scores."""

EMBEDDING = "embedding"
"""Column of embeddings, the last one."""

NUMBERS = frozenset(["seconds", "start", "end", "confidence"])
"""Columns of numbers, as those of scores are; the others hold text."""

Cells: TypeAlias = dict[str, Any]
"""Values of one row by column; those of columns that are left out are null."""

Vector: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class ParquetTables:
    """Makes the tables of a batch as Parquet, with the columns of its CSV.

    A recording that could not be used is a row of ``results.parquet`` with ``error`` and
    ``message``; these are null for all others.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """

    embeddings: bool = False
    """True to add a column of the embeddings that the folder holds."""

    def __post_init__(self) -> None:
        pyarrow_modules()  # or the tables would fail at the end

    def results(self, folder: OutputFolder) -> Iterator[bytes]:
        """Content of ``results.parquet``: a row for each recording, in the order of their files.

        Raises:
            OutputError: an embedding cannot be read.
        """
        columns = (*RESULT_COLUMNS, *RESULT_ORIGIN, EMBEDDING)
        scores = _score_columns(folder.results.labels(), columns)
        done = (_result_cells(row, vector, scores) for row, vector in self._embedded(folder))
        failed = (_failure_cells(row) for row in folder.failures.rows())
        types = self._types(RESULT_COLUMNS, scores, RESULT_ORIGIN)
        yield from _parquet(types, _joined(done, failed))

    def turns(self, folder: OutputFolder) -> Iterator[bytes]:
        """Content of ``turns.parquet``: a row for each turn.

        Raises:
            OutputError: an embedding cannot be read.
        """
        scores = _score_columns(folder.results.labels(), (*TURN_COLUMNS, *TURN_ORIGIN, EMBEDDING))
        cells = (_turn_cells(row, vectors, scores) for row, vectors in self._embedded(folder))
        types = self._types(TURN_COLUMNS, scores, TURN_ORIGIN)
        yield from _parquet(types, itertools.chain.from_iterable(cells))

    def _types(
        self, first: Iterable[str], scores: Mapping[str, str], last: Iterable[str]
    ) -> dict[str, Any]:
        """Type of each column of a table."""
        pyarrow, _ = pyarrow_modules()
        text, number = pyarrow.string(), pyarrow.float64()
        types = {name: number if name in NUMBERS else text for name in first}
        types |= dict.fromkeys(scores.values(), number)
        types |= dict.fromkeys(last, text)
        types["warnings"] = pyarrow.list_(text)
        if self.embeddings:
            types[EMBEDDING] = pyarrow.list_(pyarrow.float32())
        return types

    def _embedded(self, folder: OutputFolder) -> Iterator[tuple[ResultRow, Vector | None]]:
        """Each result and its embedding, float32 [dim], or those of its turns, [turns, dim]."""
        rows = folder.results.rows()
        if not self.embeddings:
            yield from zip(rows, itertools.repeat(None))
            return
        with ThreadPoolExecutor(READERS, "embedding") as threads:
            while group := list(itertools.islice(rows, READ_TOGETHER)):
                vectors = threads.map(lambda row: _embedding(folder, row), group)
                yield from zip(group, vectors, strict=True)


def _embedding(folder: OutputFolder, row: ResultRow) -> Vector | None:
    """Embedding of a recording, or those of its turns; None if there is none.

    Raises:
        OutputError: it cannot be read.
    """
    place = row.report.get("embedding")
    if not isinstance(place, str) or (content := folder.read(place)) is None:
        return None
    try:
        vector: Vector = np.load(io.BytesIO(content), allow_pickle=False).astype(np.float32)
        if row.turns is None and vector.ndim == 1:
            return vector
        if row.turns is not None and vector.ndim == 2 and len(vector) == len(row.turns):
            return vector
        problem = f"it has the shape {vector.shape}"
    except (ValueError, EOFError) as error:
        problem = str(error)
    raise OutputError(
        f"{printable(place)}: not the embedding of {row.file}: {problem}; remove {row.result}, and "
        "the same command makes both again"
    )


def _score_columns(labels: Iterable[str], others: Iterable[str]) -> dict[str, str]:
    """Column of each label: the label itself, unless another column has the name.

    Names differ in more than their case, to which Spark and DuckDB are blind.
    """
    taken = {name.casefold() for name in others}
    columns = {}
    for label in labels:
        name = label
        while name.casefold() in taken:
            name += "_score"
        taken.add(name.casefold())
        columns[label] = name
    return columns


def _answer_cells(answer: Answer, scores: Mapping[str, str]) -> Cells:
    given = answer.scores
    return {
        "emotion": answer.emotion,
        "confidence": answer.confidence,
        **{column: given.get(label) for label, column in scores.items()},
    }


def _result_cells(row: ResultRow, vector: Vector | None, scores: Mapping[str, str]) -> Cells:
    return {
        "file": row.file,
        "id": row.id,
        "seconds": row.seconds,
        **(_answer_cells(row.answers[0], scores) if row.turns is None else {}),
        "warnings": row.warnings,
        "model": row.model,
        "provider": row.provider,
        "result": row.result,
        EMBEDDING: vector if row.turns is None else None,
    }


def _failure_cells(row: FailureRow) -> Cells:
    return {"file": row.file, "error": row.error, "message": row.message}


def _turn_cells(
    row: ResultRow, vectors: Vector | None, scores: Mapping[str, str]
) -> Iterator[Cells]:
    for number, turn in enumerate(row.turns or ()):
        yield {
            "file": row.file,
            "id": row.id,
            "start": turn.values["start"],
            "end": turn.values["end"],
            "speaker": turn.values.get("speaker"),
            **_answer_cells(turn, scores),
            "warnings": turn.warnings,
            "result": row.result,
            EMBEDDING: None if vectors is None else vectors[number],
        }


def _joined(*tables: Iterable[Cells]) -> Iterator[Cells]:
    """Rows of tables in the order of their files, to which they are sorted; one for each file.

    A recording that has changed since its result was made may have failed since: it is one row.
    """

    def file(cells: Cells) -> str:
        return str(cells["file"])

    for _, rows in itertools.groupby(heapq.merge(*tables, key=file), file):
        joined: Cells = {}
        for cells in rows:
            joined |= cells
        yield joined


def _parquet(types: Mapping[str, Any], cells: Iterator[Cells]) -> Iterator[bytes]:
    """A Parquet file of rows, in pieces."""
    pyarrow, parquet = pyarrow_modules()
    schema = pyarrow.schema(list(types.items()))
    pieces = _Pieces()
    with parquet.ParquetWriter(pieces, schema) as writer:
        while group := list(itertools.islice(cells, GROUP_ROWS)):
            writer.write_batch(pyarrow.RecordBatch.from_pylist(group, schema))
            yield from pieces.taken()
    yield from pieces.taken()


class _Pieces(io.RawIOBase):
    """A file that is written, and given away in pieces."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, piece: Any) -> int:
        self._pieces.append(bytes(piece))
        self._size += len(self._pieces[-1])
        return len(self._pieces[-1])

    def taken(self) -> list[bytes]:
        """Pieces that were written since the last call."""
        pieces, self._pieces = self._pieces, []
        return pieces
