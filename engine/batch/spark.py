"""Recognition in Spark: a DataFrame of recordings, with their emotions as columns.

::

    from emotion2vec_edge.engine.batch.spark import recognize

    calls = spark.createDataFrame([("/shared/a.wav",), ("s3://bucket/b.wav",)], "path string")
    recognize(calls).createOrReplaceTempView("emotions")
    spark.sql("SELECT emotion, count(*) FROM emotions WHERE error IS NULL GROUP BY emotion")
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..datasets.columns import cell_source, choose_column
from ..errors import MissingExtraError, OptionError
from ..recognizer import Recognizer
from ..settings import IntakeSettings, ModelSettings
from .output.columns import COLUMNS, EMBEDDING, ROWS, Cells, ColumnJob, arrow_columns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def recognize(
    df: DataFrame,
    path: str | None = "path",
    *,
    model: ModelSettings | str | None = None,
    intake: IntakeSettings | None = None,
    embeddings: bool = False,
    batch_size: int | None = None,
) -> DataFrame:
    """The emotions of recordings, as columns beside those that are there.

    ``emotion``, ``confidence``, ``scores``, ``seconds``, codes of ``warnings``, ``model``,
    ``provider``, with ``embeddings`` an ``embedding``; and ``error`` and ``message``, of which the
    first is the class of the error of a recording that cannot be used, and NULL for all others.
    Nothing is done before Spark asks for rows. Each Python worker loads the model once, and keeps
    it for the tasks that come after (``spark.python.worker.reuse``).

    Args:
        df: the recordings, a row for each.
        path: name of the column of paths and URLs, which all workers must be able to open, or of
            the bytes of files, or of Hugging Face's ``{bytes, path}``; None finds it.
        model: the model and where it runs, or its name or path alone. A path that is not there on
            a worker is looked for among the files of ``SparkContext.addFile``. Without ``threads``
            a worker takes ``spark.task.cpus``.
        intake: the part of the recordings that is used; None takes everything.
        embeddings: give the embedding of each recording, float32 [dim].
        batch_size: number of recordings that a GPU encodes together; None takes the default.

    Raises:
        OptionError: there is no such column, or one has a name that results need.
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow  # noqa: F401 - or each task would fail without it
    except ImportError:
        raise MissingExtraError(
            "results in Spark need pyarrow: pip install 'emotion2vec-edge[spark]'"
        ) from None
    types = {field.name: _type(field.dataType.simpleString()) for field in df.schema.fields}
    column = choose_column("the DataFrame", types, path)
    names = (*COLUMNS, EMBEDDING) if embeddings else COLUMNS
    taken = sorted({name.lower() for name in types} & set(names))
    if taken:
        raise OptionError(
            f"results have columns of the names {', '.join(taken)}, and the DataFrame has them "
            "already; rename or drop those"
        )
    settings = model if isinstance(model, ModelSettings) else ModelSettings(model)
    if settings.threads is None:
        cpus = df.sparkSession.conf.get("spark.task.cpus", "1")
        settings = replace(settings, threads=int(cpus or 1))
    job = ColumnJob(column, settings, intake or IntakeSettings(), embeddings, batch_size)
    return df.mapInArrow(functools.partial(_recognized, job), _schema(df, names))


def _schema(df: DataFrame, names: Sequence[str]) -> Any:
    """Columns of a DataFrame, and those of results."""
    from pyspark.sql import types

    text, number = types.StringType(), types.DoubleType()
    kinds = {
        **dict.fromkeys(names, text),
        "confidence": number,
        "seconds": number,
        "scores": types.MapType(text, number),
        "warnings": types.ArrayType(text),
        EMBEDDING: types.ArrayType(types.FloatType()),
    }
    added = [types.StructField(name, kinds[name]) for name in names]
    return types.StructType([*df.schema.fields, *added])


def _type(name: str) -> str:
    """A type of Spark's, as :func:`choose_column` takes them."""
    if name == "binary" or (name.startswith("struct<") and "bytes:binary" in name):
        return "audio"
    return "text" if name == "string" else name


def _recognized(job: ColumnJob, batches: Iterator[Any]) -> Iterator[Any]:
    """Batches of Arrow's with the columns of results; called in a Python worker.

    Raises:
        E2VError: no result can be made at all; Spark tries the task again, and then ends the job.
    """
    recognizer = _recognizer(job)
    for batch in batches:
        start, rows = 0, []
        for cells in _results(job, recognizer, batch.column(job.column)):
            rows.append(cells)
            if len(rows) == ROWS:
                yield _joined(job, batch.slice(start, ROWS), rows)
                start, rows = start + ROWS, []
        if rows:
            yield _joined(job, batch.slice(start), rows)


_loaded: dict[str, Recognizer] = {}
"""The recognizer that this Python worker has, by its settings."""


def _recognizer(job: ColumnJob) -> Recognizer:
    job.check_version()
    key = repr(job.model)
    if key not in _loaded:
        _loaded.clear()
        _loaded[key] = replace(
            job, model=replace(job.model, model=_located(job.model.model))
        ).load()
    return _loaded[key]


def _located(model: str | None) -> str | None:
    """A model that was sent with ``SparkContext.addFile``, or the same if it was not."""
    if model is None or "://" in model or Path(model).exists():
        return model
    from pyspark import SparkFiles

    sent = Path(SparkFiles.get(Path(model).name))
    return str(sent) if sent.exists() else model


def _results(job: ColumnJob, recognizer: Recognizer, column: Any) -> Iterator[Cells]:
    cells = column.to_pylist()
    names = job.names(cells)
    sources = []
    for name, cell in zip(names, cells, strict=True):
        source, _ = cell_source(name, cell, "")
        sources.append(_local(source) if isinstance(source, str) else source)
    return job.results(recognizer, names, sources)


def _local(path: str) -> str:
    """A path as Hadoop writes it, ``file:/a.wav``, as one of this machine."""
    return path.removeprefix("file:") if path.startswith("file:/") else path


def _joined(job: ColumnJob, batch: Any, rows: list[Cells]) -> Any:
    """A batch with columns of results."""
    import pyarrow

    added = arrow_columns(rows, embeddings=job.embeddings)
    return pyarrow.RecordBatch.from_arrays(
        [*batch.columns, *added.values()], [*batch.schema.names, *added]
    )
