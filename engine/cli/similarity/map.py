"""``e2v map``: a store as a page with a map."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click

from ...errors import OptionError
from ...files import printable
from ...settings import MapMethod, SpaceChoice
from . import stores


@click.command()
@stores.store("store")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("map.html"),
    show_default=True,
    help="File of the page.",
)
@click.option(
    "--method",
    type=click.Choice(get_args(MapMethod)),
    default="pca",
    show_default=True,
    help="pca: new recordings land among the old; tsne (extra cluster), umap (extra umap).",
)
@click.option(
    "--plane",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File that keeps the plane of pca; plane-SPACE.npz in STORE by default.",
)
@click.option(
    "--clusters",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Clusters that e2v cluster -o wrote, to colour by.",
)
@click.option(
    "--trajectory",
    metavar="RECORDING",
    help="Show the path of one recording through its turns or windows; the page shows any.",
)
@click.option("--embed-audio", is_flag=True, help="Put the recordings into the page.")
@click.option(
    "--png",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a picture as well, coloured by the emotion (extra plot).",
)
@stores.space
@stores.by_speaker
@stores.model
def map(  # noqa: A001 - the name of the verb
    store: Path, output: Path, method: MapMethod, plane: Path | None, clusters: Path | None,
    trajectory: str | None, embed_audio: bool, png: Path | None, space: SpaceChoice,
    by_speaker: bool, model: str | None,
) -> None:  # fmt: skip
    """Draw STORE as one page of HTML that needs no network: hover, zoom, select, search, play.

    Recordings are linked, so the page plays them as long as they stay where they are.
    """
    from ...embeddings.maps import MapSettings, map_page, placed, read_clusters, trajectory_of
    from ...files import write_file
    from ...results.colours import colours_of
    from ...results.plot import check_plot

    if png is not None:
        check_plot(png)
    if plane is not None and method != "pca":
        raise OptionError(f"--plane is of pca; {method} has none")
    own = stores.read_in_space(store, model, space, speakers=by_speaker)
    groups = None if clusters is None else read_clusters(clusters, own.clips)
    steps = [] if trajectory is None else trajectory_of(own.clips, trajectory)
    plane = plane or store / f"plane-{own.space.key}{'-by-speaker' if by_speaker else ''}.npz"
    points = placed(own.vectors, method, plane)
    labels = {clip.emotion for clip in own.clips} | {clip.label for clip in own.clips}
    colours = colours_of(sorted(label for label in labels if label))
    title = f"{printable(store.name)}: {len(own.clips)} embeddings, {own.space.name}, {method}"
    path = own.clips[steps[0]].path if steps else None
    settings = MapSettings(title, colours, output.parent, embed_audio, path)
    write_file(output, map_page(points, own.clips, groups, settings))
    click.echo(f"{printable(str(output))}: {len(own.clips)} embeddings", err=True)
    if png is not None:
        from ...embeddings.pictures import draw_map

        labels_ = [clip.emotion or clip.label or "" for clip in own.clips]
        draw_map(points, labels_, colours, png, steps)
