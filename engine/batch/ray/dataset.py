"""Recognition in Ray Data: a data set of recordings, with their emotions as columns."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...errors import MissingExtraError
from ...settings import IntakeSettings, ModelSettings
from ..output.columns import ROWS, ColumnJob, arrow_columns

if TYPE_CHECKING:
    from ray.data import Dataset


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
    job = ColumnJob(path, settings, intake or IntakeSettings(), embeddings, batch_size)
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

    def __init__(self, job: ColumnJob) -> None:
        job.check_version()
        self.job = job
        self.recognizer = job.load()

    def __call__(self, table: Any) -> Any:
        """The table, with columns of results."""
        job = self.job
        sources = table.column(job.column).to_pylist()
        rows = list(job.results(self.recognizer, job.names(sources), sources))
        for name, column in arrow_columns(rows, embeddings=job.embeddings).items():
            table = table.append_column(name, column)
        return table
