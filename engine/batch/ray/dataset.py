"""Recognition in Ray Data: a data set of recordings, with their emotions as columns."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from ...errors import ClusterError, MissingExtraError, NoHeadError
from ...recognizer import Recognizer
from ...settings import IntakeSettings, ModelSettings
from ...version import __version__
from ..output.columns import arrow_columns, result_cells

if TYPE_CHECKING:
    from ray.data import Dataset

ROWS = 64
"""Rows that a worker takes together."""


@dataclass(frozen=True)
class _Job:
    """The work of each worker."""

    path: str
    """Name of the column of paths and URLs."""
    model: ModelSettings
    intake: IntakeSettings
    embeddings: bool
    batch_size: int | None
    version: str
    """Version of this package where the job was made."""


def recognize(
    dataset: Dataset,
    path: str = "path",
    *,
    model: ModelSettings | str | None = None,
    intake: IntakeSettings | None = None,
    embeddings: bool = False,
    batch_size: int | None = None,
    workers: int = 1,
    gpus_per_worker: float = 0.0,
) -> Dataset:
    """The emotions of recordings, as columns beside those that are there.

    ``emotion``, ``confidence``, ``scores``, ``seconds``, codes of ``warnings``, ``model``,
    ``provider``, with ``embeddings`` an ``embedding``; and ``error`` and ``message``, of which the
    first is the class of the error of a recording that cannot be used, and null for all others.
    Nothing is done before Ray asks for rows.

    Args:
        dataset: the recordings, a row for each.
        path: name of the column of paths and URLs, or of the bytes of files; all workers must be
            able to open them.
        model: the model and where it runs, or its name or path alone, as workers find it. Without
            ``threads`` a worker takes one CPU.
        intake: the part of the recordings that is used; None takes everything.
        embeddings: give the embedding of each recording, float32 [dim].
        batch_size: number of recordings that a GPU encodes together; None takes the default.
        workers: number of actors, each with the model.
        gpus_per_worker: GPUs of each, or a part of one.

    Raises:
        MissingExtraError: pyarrow or Ray Data is not installed.
    """
    try:
        import pyarrow  # noqa: F401 - or each task would fail without it
        from ray.data import ActorPoolStrategy
    except ImportError as error:
        raise MissingExtraError(
            f"results in Ray Data need more packages ({error}): pip install 'emotion2vec-edge[ray]'"
        ) from None
    settings = model if isinstance(model, ModelSettings) else ModelSettings(model)
    settings = replace(settings, threads=settings.threads or 1)
    job = _Job(path, settings, intake or IntakeSettings(), embeddings, batch_size, __version__)
    return dataset.map_batches(
        TableWorker,
        fn_constructor_args=(job,),
        batch_format="pyarrow",
        batch_size=ROWS,
        compute=ActorPoolStrategy(size=workers),
        num_cpus=settings.threads,
        num_gpus=gpus_per_worker or None,
    )


class TableWorker:
    """The callable that Ray Data gives batches of rows; it has a model of its own.

    Args:
        job: the work.

    Raises:
        ClusterError: this machine has another version of the package.
        E2VError: the model cannot be used.
    """

    def __init__(self, job: _Job) -> None:
        if job.version != __version__:
            raise ClusterError(
                f"this worker has emotion2vec-edge {__version__}, and the driver {job.version}; "
                "install the same version"
            )
        self.job = job
        self.recognizer = Recognizer.load(**asdict(job.model))
        if not self.recognizer.labels:
            raise NoHeadError("columns of emotions need a model with an emotion head")

    def __call__(self, table: Any) -> Any:
        """The table, with columns of results."""
        job = self.job
        sources = table.column(job.path).to_pylist()
        names = [
            source if isinstance(source, str) else f"{job.path} of row {row}"
            for row, source in enumerate(sources)
        ]
        results = self.recognizer.encode_many(
            sources, **asdict(job.intake), batch_size=job.batch_size, errors="return"
        )
        with contextlib.closing(results):
            rows = [
                result_cells(name, result, embeddings=job.embeddings)
                for name, result in zip(names, results, strict=True)
            ]
        for name, column in arrow_columns(rows, embeddings=job.embeddings).items():
            table = table.append_column(name, column)
        return table
