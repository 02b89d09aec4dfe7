"""A store of embeddings that the service searches and draws."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...bundle.bundle import Bundle
from ...embeddings.clips import StoredClip
from ...embeddings.maps import LEAST_CLIPS, MOST_CLIPS, MapSettings, map_json, placed
from ...embeddings.search import Found, Index, found_clips
from ...embeddings.space import Space
from ...embeddings.store import Store
from ...errors import OptionError
from ...results.colours import colours_of
from .options import SearchOptions
from .schema import StoredNeighbour, StoreFound


class ServedStore:
    """The content of a store in memory; the store itself is only read, once. For any thread.

    Args:
        path: the store.
        bundle: the model, whose space is used.

    Raises:
        StoreError: there is no store, it is damaged, or of another model.
    """

    def __init__(self, path: Path, bundle: Bundle) -> None:
        store = Store(path)
        store.check_model(bundle.manifest)
        self.space = Space.of(bundle)
        content = store.read()
        self.clips: list[StoredClip] = content.clips
        vectors = self.space.transform(content.vectors)
        self._index = Index(vectors)
        self._name = path.absolute().name
        plane = path / f"plane-{self.space.key}.npz"
        self._points: NDArray[np.float32] | None = None
        if LEAST_CLIPS <= len(self.clips) <= MOST_CLIPS:
            self._points = placed(vectors, "pca", plane if plane.is_file() else None)

    def find(self, embedding: NDArray[np.float32], options: SearchOptions) -> StoreFound:
        """The recordings that are nearest to an embedding, float32 [dim]."""
        allowed = None
        if options.emotion is not None or options.label is not None:
            kept = [
                options.emotion in (None, clip.emotion) and options.label in (None, clip.label)
                for clip in self.clips
            ]
            allowed = np.array(kept, bool)
        query = self.space.transform(embedding[None])[0]
        found = found_clips(self._index, self.clips, query, self.space, options.top, allowed)
        return StoreFound(
            space=self.space.name,
            searched=len(self.clips) if allowed is None else int(allowed.sum()),
            nearest=[self._neighbour(match) for match in found],
        )

    @staticmethod
    def _neighbour(found: Found) -> StoredNeighbour:
        clip = found.clip
        return StoredNeighbour(
            index=found.number,
            path=clip.path,
            start=clip.start,
            end=clip.end,
            label=clip.label,
            speaker=clip.speaker,
            emotion=clip.emotion,
            confidence=clip.confidence,
            cosine=found.cosine,
            same_emotion=found.same_emotion,
        )

    @cached_property
    def map(self) -> bytes:
        """Points, names and colours of the map as JSON, which its page draws.

        Raises:
            OptionError: the store has too few embeddings for a map, or too many.
        """
        if self._points is None:
            raise OptionError(
                f"the store has {len(self.clips)} embeddings; a map has {LEAST_CLIPS} to "
                f"{MOST_CLIPS:,}"
            )
        labels = {clip.emotion for clip in self.clips} | {clip.label for clip in self.clips}
        colours = colours_of(sorted(label for label in labels if label))
        title = f"{self._name}: {len(self.clips)} embeddings, {self.space.name}"
        return map_json(self._points, self.clips, None, MapSettings(title, colours)).encode()
