"""A store as one Parquet file, which pandas, Polars, DuckDB and Spark read."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ..errors import MissingExtraError
from ..files import atomic_file
from .store import Store


def check_parquet() -> None:
    """Refuse to work for a Parquet file that cannot be written.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise MissingExtraError(
            "Parquet needs pyarrow: pip install 'emotion2vec-edge[parquet]'; the store itself is "
            ".npz and JSON lines"
        )


def write_parquet(store: Store, path: Path) -> None:
    """Write a store as a Parquet file: a column for each field, the scores and the vector.

    Args:
        store: the store.
        path: the file.

    Raises:
        MissingExtraError: pyarrow is not installed.
        StoreError: the store is damaged.
        OutputError: the file cannot be written.
    """
    check_parquet()
    import pyarrow
    import pyarrow.parquet

    content = store.read()
    texts = {
        name: pyarrow.array([getattr(clip, name) for clip in content.clips], pyarrow.string())
        for name in ("path", "label", "speaker", "corpus", "emotion", "text")
    }
    numbers = {
        name: pyarrow.array([getattr(clip, name) for clip in content.clips], pyarrow.float64())
        for name in ("start", "end", "confidence")
    }
    scores = pyarrow.array(
        [list(clip.scores.items()) for clip in content.clips],
        pyarrow.map_(pyarrow.string(), pyarrow.float64()),
    )
    flat = pyarrow.array(content.vectors.ravel(), pyarrow.float32())
    vectors = pyarrow.FixedSizeListArray.from_arrays(flat, store.dim)
    table = pyarrow.table({**texts, **numbers, "scores": scores, "vector": vectors})
    notes = {"model": store.model, "encoder": store.encoder}
    with atomic_file(path) as file:
        pyarrow.parquet.write_table(table.replace_schema_metadata(notes), file)
