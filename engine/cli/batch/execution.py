"""The ways in which ``e2v batch`` is executed: processes of this machine, or a Ray cluster."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from ...errors import OptionError
from ..progress import shown_seconds

if TYPE_CHECKING:
    from ...batch.inputs.input_file import InputFile
    from ...batch.outcome import Executor
    from ...batch.settings import BatchSettings
    from ...recognizer import Recognizer
    from ...settings import ClusterSettings, ModelSettings


class Execution(NamedTuple):
    """The way in which a batch is executed."""

    run: str
    """Digest of the model and the settings."""
    executor: Callable[[Path], Executor]
    """Makes the executor that writes to a folder."""


def local_execution(
    model_settings: ModelSettings, settings: BatchSettings, jobs: int | None,
    batch_size: int | None,
) -> Execution:  # fmt: skip
    """One process on this machine, or several; ``jobs`` None for as many as it is good for."""
    from ...batch.processes import Division, Workers, divide_for
    from ...batch.run import run_digest
    from ...batch.worker import Worker
    from ...recognizer import Recognizer
    from ...runtime.hardware import checked_threads

    recognizer = Recognizer.load(**dataclasses.asdict(model_settings))
    processors = checked_threads(model_settings.threads)
    if jobs is None:
        division = divide_for(recognizer, processors)
        click.echo(f"e2v: --jobs {division.jobs}, threads of each: {division.threads}", err=True)
    else:
        division = Division(jobs, max(1, processors // jobs))
    _check_batch_size(batch_size, recognizer, division.jobs)
    run = run_digest(recognizer, settings)
    if division.jobs == 1:
        return Execution(run, lambda path: Worker(recognizer, path, settings, run, batch_size))
    # By its folder: a branch of a hub could move between two processes.
    place = str(recognizer.bundle.folder)
    shared = dataclasses.replace(model_settings, model=place, threads=division.threads)
    return Execution(run, lambda path: Workers(division.jobs, shared, path, settings, run))


@contextlib.contextmanager
def ray_execution(
    cluster: ClusterSettings, model_settings: ModelSettings, settings: BatchSettings,
    batch_size: int | None, items: Sequence[InputFile],
) -> Iterator[Execution]:  # fmt: skip
    """Workers on a Ray cluster, for the block."""
    from ...batch.ray.actor import Job, probe_of
    from ...batch.ray.cluster import Share, parse_address
    from ...batch.ray.pool import RayWorkers
    from ...batch.ray.shipping import ShippedModel
    from ...batch.worker import Writing
    from ...bundle.locate import open_bundle

    address = parse_address(cluster.on or "")
    bundle = open_bundle(model_settings.model, offline=model_settings.offline)
    cpus = 1 if model_settings.threads is None else model_settings.threads
    job = Job(
        dataclasses.replace(model_settings, threads=cpus),
        ShippedModel.of(bundle), settings, batch_size, probe_of(items),
    )  # fmt: skip
    share = Share(cpus, cluster.gpus_per_worker)
    with contextlib.ExitStack() as opened:
        with shown_seconds("starting the workers"):
            workers = RayWorkers(address, bundle, job, share, cluster.workers)
        opened.enter_context(workers)
        yield Execution(workers.run, lambda path: Writing(workers, path))


def check_cluster(cluster: ClusterSettings, jobs: int | None) -> None:
    """Refuse options of a cluster without one, and those of this machine with one."""
    if cluster.on is None and (cluster.workers is not None or cluster.gpus_per_worker):
        raise click.UsageError(
            "--workers and --gpus-per-worker are of a cluster; give --on with them, or --jobs"
        )
    if cluster.on is not None and jobs != 1:
        raise click.UsageError("--jobs is of this machine; with --on give --workers")


def _check_batch_size(batch_size: int | None, recognizer: Recognizer, jobs: int) -> None:
    one_by_one = jobs > 1 or recognizer.encoder.batch_size == 1
    if one_by_one and batch_size is not None and batch_size > 1:
        raise OptionError(
            f"--batch-size {batch_size} is for one process on a GPU; on {recognizer.provider} with "
            f"--jobs {jobs} recordings are encoded one by one, which is as fast"
        )
