"""``e2v cluster`` and ``e2v drift``: what a store holds, and what has changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from ...settings import ClusterMethod, SpaceChoice
from ..options import output_option
from ..stdio import write_utf8
from . import stores

if TYPE_CHECKING:
    from ...embeddings.clips import StoredClip
    from ...embeddings.clusters import Clustering
    from ...embeddings.drift import Drift


@click.command()
@stores.store("store")
@click.option(
    "--method",
    type=click.Choice(get_args(ClusterMethod)),
    default="kmeans",
    show_default=True,
    help="gmm: a Gaussian mixture; hdbscan finds the number of clusters, and outliers.",
)
@click.option(
    "--count",
    type=click.IntRange(2),
    help="Number of clusters; otherwise by silhouette, and by agreement over seeds.",
)
@stores.space
@stores.by_speaker
@stores.model
@stores.format_
@output_option
def cluster(
    store: Path, method: ClusterMethod, count: int | None, space: SpaceChoice, by_speaker: bool,
    model: str | None, format_: str, output: Path | None,
) -> None:  # fmt: skip
    """Group what is in STORE, and name each group by what its recordings were heard as.

    -o takes a file of JSON lines that holds the cluster of each recording, turn or window; e2v map
    --clusters colours by it. Needs scikit-learn (extra cluster).
    """
    from ...embeddings.clusters import check_clustering
    from ...embeddings.clusters import cluster as group

    check_clustering()
    own = stores.read_in_space(store, model, space, speakers=by_speaker)
    found = group(own.vectors, own.clips, method, count)
    if output is not None:
        _write(found, own.clips, output)
    if format_ == "json":
        write_utf8()
        click.echo(json.dumps(found.to_dict(), ensure_ascii=False))
        return
    for trial in found.trials:
        click.echo(
            f"{trial.count:>3} clusters: silhouette {trial.silhouette:+.3f}, "
            f"stability {trial.stability:.3f}",
            err=True,
        )
    for cluster in found.clusters:
        click.echo(f"{cluster.number:>3}  {cluster.size:>6}  {cluster.name}")
        click.echo(f"{'':13}nearest   {'; '.join(cluster.examples)}")
        click.echo(f"{'':13}farthest  {'; '.join(cluster.outliers)}")
    if outliers := int((found.assigned < 0).sum()):
        click.echo(f"  –  {outliers:>6}  in no cluster")
    if found.purity is not None:
        click.echo(f"labels: purity {found.purity:.3f}, adjusted Rand {found.adjusted_rand:.3f}")


def _write(found: Clustering, clips: list[StoredClip], output: Path) -> None:
    from ...files import write_file

    names = {cluster.number: cluster.name for cluster in found.clusters}
    rows = (
        {
            "path": clip.path,
            "start": clip.start,
            "end": clip.end,
            "cluster": number,
            "name": names.get(number),
        }
        for clip, number in zip(clips, found.assigned.tolist(), strict=True)
    )
    write_file(output, (json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows))


@click.command()
@stores.store("before")
@stores.store("after")
@stores.space
@stores.model
@stores.format_
def drift(before: Path, after: Path, space: SpaceChoice, model: str | None, format_: str) -> None:
    """Tell if what is heard has changed from the store BEFORE to the store AFTER.

    The distance of the embeddings with its probability by chance, the shares of the emotions, and
    the quality of the recordings.
    """
    from ...embeddings.drift import compare_stores

    first, second = (
        stores.read_in_space(path, model, space, speakers=False) for path in (before, after)
    )
    found = compare_stores(first.vectors, first.clips, second.vectors, second.clips)
    if format_ == "json":
        write_utf8()
        click.echo(json.dumps(found.to_dict(), ensure_ascii=False))
        return
    _tell(found)


def _tell(found: Drift) -> None:
    click.echo(
        f"{'changed' if found.changed else 'no change shown'}: energy distance "
        f"{found.distance:.4f}, p = {found.p_value:.3f}, {found.clips[0]} and {found.clips[1]} "
        "embeddings"
    )
    for label, (old, new) in found.shares.items():
        click.echo(f"  {label:<12}{old:>6.1%} → {new:>6.1%}")
    old_sure, new_sure = found.confidence
    if old_sure is not None and new_sure is not None:
        click.echo(f"  {'confidence':<12}{old_sure:>6.2f} → {new_sure:>6.2f}")
    for code in sorted(found.warned[0].keys() | found.warned[1].keys()):
        old, new = (share.get(code, 0.0) for share in found.warned)
        click.echo(f"  {code:<12}{old:>6.1%} → {new:>6.1%}  warned of")
