"""Results as columns of a table, for engines that work on tables."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from ...errors import ClusterError, E2VError, NoHeadError, as_own
from ...recognizer import Recognizer
from ...results.encoding import Encoding
from ...settings import IntakeSettings, ModelSettings
from ...version import __version__
from ..inputs.input_file import InputFile
from ..outcome import failure

COLUMNS = (
    "emotion", "confidence", "scores", "seconds", "warnings", "model", "provider", "error",
    "message",
)  # fmt: skip
"""Columns of results."""

EMBEDDING = "embedding"
"""Column of embeddings, where they are asked for."""

Cells: TypeAlias = Mapping[str, Any]
"""Values of the columns for one recording."""


ROWS = 64
"""Rows that are made together."""


@dataclass(frozen=True)
class ColumnJob:
    """The work of each worker of such an engine."""

    column: str
    """Name of the column of recordings."""
    model: ModelSettings
    intake: IntakeSettings
    embeddings: bool
    batch_size: int | None
    version: str = __version__
    """Version of this package where the job was made."""

    def check_version(self) -> None:
        """Refuse to work with another version of the package.

        Raises:
            ClusterError: the job was made by another version.
        """
        if self.version != __version__:
            raise ClusterError(
                f"this worker has emotion2vec-edge {__version__}, and the driver {self.version}; "
                "install the same version"
            )

    def load(self) -> Recognizer:
        """The model.

        Raises:
            E2VError: it cannot be used, or has no emotion head.
        """
        recognizer = Recognizer.load(**asdict(self.model))
        if not recognizer.labels:
            raise NoHeadError("columns of emotions need a model with an emotion head")
        return recognizer

    def names(self, cells: Sequence[Any]) -> list[str]:
        """Names of the recordings in a column, for messages: their paths, or their rows."""
        return [
            cell if isinstance(cell, str) else f"{self.column} of row {row}"
            for row, cell in enumerate(cells)
        ]

    def results(
        self, recognizer: Recognizer, names: Iterable[str], sources: Iterable[Any]
    ) -> Iterator[Cells]:
        """The values for each recording, in order.

        Args:
            recognizer: the model.
            names: name of each recording, for messages.
            sources: the recordings, as :meth:`.Recognizer.encode_many` takes them.
        """
        results = recognizer.encode_many(
            sources, **asdict(self.intake), batch_size=self.batch_size, errors="return"
        )
        with contextlib.closing(results):
            for name, result in zip(names, results, strict=True):
                yield result_cells(name, result, embeddings=self.embeddings)


def result_cells(name: str, result: Encoding | E2VError, *, embeddings: bool) -> Cells:
    """The values for one recording; ``error`` and ``message`` alone if it could not be used.

    Args:
        name: name of the recording, for messages.
        result: its encoding, or the error that it has instead.
        embeddings: give its embedding, float32 [dim].
    """
    if isinstance(result, Encoding):
        try:
            utterance = result.utterance()
        except Exception as error:  # noqa: BLE001 - a fault of one recording takes no other with it
            return result_cells(name, as_own(error), embeddings=embeddings)
        return {
            "emotion": utterance.emotion,
            "confidence": utterance.confidence,
            "scores": list(utterance.scores.items()),
            "seconds": utterance.seconds,
            "warnings": [warning.code for warning in utterance.warnings],
            "model": utterance.model,
            "provider": utterance.provider,
            EMBEDDING: result.embedding() if embeddings else None,
        }
    row = failure(InputFile(name, ""), result).row.to_dict()
    return {"error": row["error"], "message": row["message"]}


def arrow_columns(rows: Sequence[Cells], *, embeddings: bool) -> dict[str, Any]:
    """Rows as Arrow's arrays, by the names of the columns.

    Raises:
        ImportError: pyarrow is not installed.
    """
    import pyarrow

    text, number = pyarrow.string(), pyarrow.float64()
    types = dict.fromkeys(COLUMNS, text)
    types |= {"confidence": number, "seconds": number, "warnings": pyarrow.list_(text)}
    types["scores"] = pyarrow.map_(text, number)
    if embeddings:
        types[EMBEDDING] = pyarrow.list_(pyarrow.float32())
    return {
        name: pyarrow.array([row.get(name) for row in rows], kind) for name, kind in types.items()
    }
