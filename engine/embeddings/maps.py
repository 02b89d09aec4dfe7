"""A store as a picture: embeddings placed in a plane, and a page that shows them without a network.

By principal components the plane is kept, so that new clips find their place among the old.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bundle.npy import read_arrays
from ..errors import BundleFormatError, MissingExtraError, OptionError, OutputError, StoreError
from ..files import MOST_PATH, atomic_file, printable, read_regular
from ..settings import MapMethod
from .clips import StoredClip
from .clusters import check_clustering

PAGE = Path(__file__).with_name("map.html")
DATA = "/*DATA*/null"
"""Place in the page that the points are written to."""

LEAST_CLIPS, MOST_CLIPS = 3, 200_000
"""Points of a map; a browser would not draw more of them smoothly."""
MOST_EMBEDDED_BYTES = 200 << 20
"""Bytes of sound that a page holds at most."""
GRID = 100_000
"""Steps of a coordinate from one side of the map to the other."""


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane through a space, in which the vectors differ most."""

    mean: NDArray[np.float32]
    """float32 [size]."""
    axes: NDArray[np.float32]
    """float32 [2, size]."""

    @classmethod
    def of(cls, vectors: NDArray[np.float32]) -> Plane:
        """The first two principal components of vectors, [count, size]."""
        mean = vectors.mean(axis=0, dtype=np.float64)
        centred = vectors - mean
        _, directions = np.linalg.eigh(centred.T @ centred)
        axes = directions[:, ::-1][:, :2].T
        # The sign of an eigenvector is arbitrary: its largest component is made positive.
        largest = np.abs(axes).argmax(axis=1)
        axes = axes * np.sign(axes[np.arange(2), largest])[:, None]
        return cls(mean.astype(np.float32), axes.astype(np.float32))

    def place(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Coordinates of vectors, [count, size] → float32 [count, 2]."""
        return np.asarray((vectors - self.mean) @ self.axes.T, np.float32)

    def write(self, path: Path) -> None:
        """Keep the plane as an ``.npz``; raises OutputError."""
        with atomic_file(path) as file:
            np.savez(file, mean=self.mean, axes=self.axes)

    @classmethod
    def read(cls, path: Path, size: int) -> Plane:
        """A plane that was kept.

        Raises:
            StoreError: the file is none for vectors of this size.
        """
        try:
            arrays = read_arrays(path, {"mean": (size,), "axes": (2, size)}, "a plane")
        except BundleFormatError as error:
            raise StoreError(f"{error}; remove it, and a new one is made") from None
        return cls(arrays["mean"], arrays["axes"])


def placed(
    vectors: NDArray[np.float32], method: MapMethod, plane_file: Path | None = None
) -> NDArray[np.float32]:
    """Coordinates in the plane, float32 [count, 2].

    Args:
        vectors: float32 [count, size], in the space.
        method: ``pca``, ``tsne`` (scikit-learn) or ``umap`` (umap-learn).
        plane_file: file that keeps the plane of ``pca``; made if it does not exist.

    Raises:
        OptionError: too few vectors.
        MissingExtraError: a package is not installed.
        StoreError, OutputError: the file of the plane.
    """
    if not LEAST_CLIPS <= len(vectors) <= MOST_CLIPS:
        raise OptionError(
            f"{len(vectors)} embeddings; a map has {LEAST_CLIPS} to {MOST_CLIPS:,}: embed another "
            "number of recordings"
        )
    if method == "pca":
        if plane_file is not None and plane_file.is_file():
            return Plane.read(plane_file, vectors.shape[1]).place(vectors)
        plane = Plane.of(vectors)
        if plane_file is not None:
            plane.write(plane_file)
        return plane.place(vectors)
    if method == "tsne":
        check_clustering()
        from sklearn.manifold import TSNE

        perplexity = min(30.0, (len(vectors) - 1) / 3)
        model: Any = TSNE(perplexity=perplexity, init="pca", metric="cosine", random_state=0)
    else:
        model = _umap(len(vectors))
    return np.asarray(model.fit_transform(vectors), np.float32)


def _umap(count: int) -> Any:
    try:
        from umap import UMAP
    except ImportError:
        raise MissingExtraError(
            "umap needs umap-learn: pip install 'emotion2vec-edge[umap]'; pca needs nothing"
        ) from None
    return UMAP(n_neighbors=min(15, count - 1), metric="cosine", random_state=0)


@dataclass(frozen=True)
class MapSettings:
    """The contents of a page."""

    title: str
    colours: Mapping[str, str]
    """Colour by label id."""
    folder: Path | None = None
    """Folder of the page, which links to recordings are relative to; None plays nothing."""
    embed_audio: bool = False
    """True if the page holds the recordings themselves."""
    trajectory: str | None = None
    """Recording, as the store names it, whose path is shown at first."""


def map_page(
    points: NDArray[np.float32],
    clips: Sequence[StoredClip],
    clusters: Sequence[str] | None,
    settings: MapSettings,
) -> bytes:
    """A page of HTML that holds everything it needs; arguments and errors as :func:`map_json`."""
    text = map_json(points, clips, clusters, settings)
    # No text of a store may end the script, or begin a comment in it.
    safe = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return PAGE.read_text(encoding="utf-8").replace(DATA, safe, 1).encode()


def map_json(
    points: NDArray[np.float32],
    clips: Sequence[StoredClip],
    clusters: Sequence[str] | None,
    settings: MapSettings,
) -> str:
    """Points, names and colours of a map as JSON, which the page draws.

    Args:
        points: float32 [clips, 2].
        clips: what the points are of.
        clusters: name of each clip's cluster; None without clusters.
        settings: title, colours, and sound.

    Raises:
        OutputError: the recordings are too large to be held.
        StoreError: a recording cannot be read.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    span = float(max((high - low).max(), 1e-9))
    grid = ((points - (low + high) / 2) / span * GRID).round().astype(int)
    files = list(dict.fromkeys(clip.path for clip in clips))
    index = {file: number for number, file in enumerate(files)}
    data = {
        "title": settings.title,
        "x": grid[:, 0].tolist(),
        "y": grid[:, 1].tolist(),
        "grid": GRID,
        "files": files,
        "sounds": None if settings.folder is None else _sounds(files, settings.folder, settings),
        "file": [index[clip.path] for clip in clips],
        "start": [clip.start for clip in clips],
        "end": [clip.end for clip in clips],
        "confidence": [clip.confidence for clip in clips],
        "text": [clip.text for clip in clips] if any(clip.text for clip in clips) else None,
        "groups": {
            "emotion": _coded([clip.emotion for clip in clips]),
            "label": _coded([clip.label for clip in clips]),
            "cluster": _coded(clusters or [None] * len(clips)),
            "speaker": _coded([clip.speaker for clip in clips]),
            "corpus": _coded([clip.corpus for clip in clips]),
        },
        "colours": dict(settings.colours),
        "trajectory": None if settings.trajectory is None else index[settings.trajectory],
    }
    return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def trajectory_of(clips: Sequence[StoredClip], recording: str) -> list[int]:
    """Numbers of the turns or windows of one recording, in the order of time.

    Args:
        clips: the clips of a store.
        recording: its path as the store names it, or relative to the working folder, or its file
            name if one recording alone has it.

    Raises:
        OptionError: the store holds fewer than two parts of it.
    """
    parts: dict[str, list[int]] = {}
    for number, clip in enumerate(clips):
        if clip.start is not None:
            parts.setdefault(clip.path, []).append(number)
    given, absolute = printable(recording), printable(str(Path(recording).absolute()))
    named = [path for path in parts if Path(path).name == given]
    path = next((path for path in (given, absolute) if path in parts), None)
    if path is None and len(named) == 1:
        path = named[0]
    if path is None or len(parts[path]) < 2:
        longest = sorted(parts, key=lambda path: -len(parts[path]))[:3]
        held = ", ".join(longest) if longest else "none: embed with --turns or --window"
        why = f"{len(named)} recordings have this name" if len(named) > 1 else "it has no path"
        raise OptionError(f"trajectory {given}: {why}; recordings in parts are {held}")
    return sorted(parts[path], key=lambda number: clips[number].start or 0.0)


def _coded(values: Sequence[str | None]) -> dict[str, Any] | None:
    """Different values, commonest first, and the number of each clip's; None if there are none."""
    counts: dict[str, int] = {}
    for value in values:
        if value is not None:
            counts[value] = counts.get(value, 0) + 1
    if not counts:
        return None
    names = sorted(counts, key=lambda name: (-counts[name], name))
    index: dict[str | None, int] = {name: number for number, name in enumerate(names)}
    return {"names": names, "of": [index.get(value, -1) for value in values]}


def _sounds(files: Sequence[str], folder: Path, settings: MapSettings) -> list[str]:
    """Address of each recording: a link relative to the page, or the recording itself."""
    if not settings.embed_audio:
        return [_link(Path(file), folder) for file in files]
    sounds, total = [], 0
    for file in files:
        try:
            content = read_regular(Path(file), MOST_EMBEDDED_BYTES)
        except OSError as error:
            raise StoreError(f"{file}: cannot be read: {error.strerror}") from None
        total += len(content)
        if total > MOST_EMBEDDED_BYTES:
            raise OutputError(
                f"the recordings take more than {MOST_EMBEDDED_BYTES >> 20} MiB; let the page "
                "link to them"
            )
        sounds.append("data:audio/*;base64," + base64.b64encode(content).decode())
    return sounds


def _link(path: Path, folder: Path) -> str:
    import os
    from urllib.parse import quote

    relative = os.path.relpath(path.absolute(), folder.absolute())
    return quote(relative)


def read_clusters(path: Path, clips: Sequence[StoredClip]) -> list[str]:
    """Name of each clip's cluster, from a file that ``e2v cluster -o`` wrote.

    Raises:
        StoreError: the file cannot be used, or lacks a clip.
    """
    name = printable(str(path))
    try:
        rows = [
            json.loads(line)
            for line in read_regular(path, 1 << 30).decode("utf-8").split("\n")
            if line.strip()
        ]
        found = {
            (str(row["path"])[:MOST_PATH], row["start"], row["end"]): (
                "no cluster" if row["name"] is None else f"{row['cluster']}: {row['name']}"
            )
            for row in rows
        }
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        raise StoreError(f"{name}: not the clusters of 'e2v cluster -o': {reason}") from None
    missing = next((clip for clip in clips if clip.place not in found), None)
    if missing is not None:
        raise StoreError(f"{name}: has no cluster of {missing.name}; make it of this store again")
    return [found[clip.place] for clip in clips]
