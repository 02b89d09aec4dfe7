"""Results as columns of a table, for engines that work on tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from ...errors import E2VError, as_own
from ...results.encoding import Encoding
from ..discover import InputFile
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
