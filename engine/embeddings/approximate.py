"""An approximate index beside a store, for searches that do not read all of it.

The index is a graph of neighbours (HNSW) that usearch walks. Its file is named after the space and
the blocks that it covers, so that one of another store, or of other content, is never taken.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingExtraError, OptionError, StoreError
from ..files import atomic_file, printable
from ..progress import Progress, no_progress
from ..settings import NEIGHBOURS
from .clips import StoredClip
from .search import Found, nearest_clips
from .space import Space, checked_vectors, unit
from .store import Block, Content, Store

CONNECTIVITY = 32
"""Neighbours of a vector in the graph."""
EXPANSION_ADD = 128
"""Vectors that are looked at to find the neighbours of a new one."""
EXPANSION_SEARCH = 512
"""Vectors that are looked at in a search. Of 20,000 normal vectors of 192 numbers without any
structure, the hardest case, 0.998 of the ten nearest are found; with half of it 0.981."""
CANDIDATES = 4
"""Candidates for each clip that is asked for; their cosines are computed exactly."""


class ApproximateIndex:
    """An index of a store's embeddings in a space, in step with the store.

    Args:
        store: the store. What the index file lacks is added, and the file written again.
        space: the space in which they are compared.
        progress: receives the blocks that are added.

    Raises:
        MissingExtraError: usearch is not installed.
        StoreError: a block of the store is damaged.
        OutputError: the index cannot be written.
    """

    def __init__(self, store: Store, space: Space, progress: Progress = no_progress) -> None:
        check_usearch()
        self.store = store
        self.space = space
        self.blocks = store.blocks()
        self.ends = np.cumsum([0, *(block.count for block in self.blocks)])[1:]
        """Number of the embeddings in the blocks up to each one."""
        self.added = 0
        """Embeddings that were added to the index."""
        self._size = space.transform(np.zeros((1, space.dim), np.float32)).shape[1]
        self._files = _files_of(store, space, self.blocks)
        self._index = self._opened(len(self.blocks), view=True)
        if self._index is None:
            self._index = self._brought_up(progress)

    def nearest_clips(
        self,
        query: NDArray[np.float32],
        count: int = NEIGHBOURS,
        keep: Callable[[StoredClip], bool] | None = None,
    ) -> list[Found]:
        """The clips that are nearest to an embedding, as a search of the whole store gives them.

        If ``keep`` leaves too few of the candidates, the whole store is searched exactly.

        Raises:
            OptionError, StoreError: of that search.
        """
        if count < 1:
            raise OptionError(f"count is {count}; give at least 1")
        moved = self.space.transform(checked_vectors(query[None], self.space.dim))
        total = self._count(len(self.blocks))
        if not total:
            return []
        wanted = min(CANDIDATES * count, total)
        near = np.sort(self._index.search(unit(moved)[0], wanted).keys).astype(np.int64)
        vectors, clips, numbers = [], [], []
        for at, block in enumerate(self.blocks):
            first = self._count(at)
            own = near[(near >= first) & (near < first + block.count)] - first
            if not len(own):
                continue
            content = self.store.read_block(block.path, own.tolist())
            kept = [n for n, clip in enumerate(content.clips) if keep is None or keep(clip)]
            vectors.append(content.vectors[kept])
            clips += [content.clips[n] for n in kept]
            numbers += (first + own[kept]).tolist()
        if len(clips) < count and wanted < total:
            return nearest_clips(self.store.read(), query, self.space, count, keep)
        found = nearest_clips(Content(np.concatenate(vectors), clips), query, self.space, count)
        return [
            Found(numbers[item.number], item.cosine, item.clip, item.same_emotion) for item in found
        ]

    def _opened(self, blocks: int, *, view: bool) -> Any:
        """The index of the first so many blocks; None without a file of it that can be used."""
        path = self._files[blocks]
        if not path.is_file():
            return None
        index = _new_index(self._size)
        try:
            index.view(path) if view else index.load(path)
        except RuntimeError:  # damaged: it is made again
            return None
        return index if (len(index), index.ndim) == (self._count(blocks), self._size) else None

    def _brought_up(self, progress: Progress) -> Any:
        """An index of all blocks, made from that of the first blocks if there is one; written."""
        done, index = 0, None
        for done in range(len(self.blocks) - 1, 0, -1):
            index = self._opened(done, view=False)
            if index is not None:
                break
        if index is None:
            done, index = 0, _new_index(self._size)
        first = self._count(done)
        for at, block in enumerate(self.blocks[done:], done):
            vectors = unit(self.space.transform(self.store.read_block(block.path).vectors))
            if len(vectors) != block.count:
                raise StoreError(f"{printable(str(block.path))}: changed while it was read")
            index.add(np.arange(first, first + len(vectors)), vectors)
            first += len(vectors)
            self.added += len(vectors)
            progress("index", at + 1 - done, len(self.blocks) - done)
        with atomic_file(self._files[-1]) as file:
            try:
                index.save(file.name)
            except RuntimeError as error:
                raise OSError(str(error)) from None
        for old in self.store.path.glob(f"index-{self.space.key}-*.usearch"):
            if old != self._files[-1]:
                old.unlink(missing_ok=True)
        return index

    def _count(self, blocks: int) -> int:
        """Embeddings of the first so many blocks."""
        return int(self.ends[blocks - 1]) if blocks else 0


def check_usearch() -> None:
    """Refuse to work without the package of the index.

    Raises:
        MissingExtraError: usearch is not installed.
    """
    import importlib.util

    if importlib.util.find_spec("usearch") is None:
        raise MissingExtraError(
            "the approximate search needs usearch: pip install 'emotion2vec-edge[search]'; the "
            "exact one needs nothing"
        )


def _new_index(size: int) -> Any:
    with contextlib.suppress(ImportError):
        # usearch 2.26 brings its own C++ library, with which a later import of ONNX Runtime ends
        # the process; an earlier one does not.
        import onnxruntime  # noqa: F401
    from usearch.index import Index

    return Index(
        ndim=size, metric="cos", dtype="f16", connectivity=CONNECTIVITY,
        expansion_add=EXPANSION_ADD, expansion_search=EXPANSION_SEARCH,
    )  # fmt: skip


def _files_of(store: Store, space: Space, blocks: list[Block]) -> list[Path]:
    """File of the index of no block, of the first block, of the first two, and so on."""
    digest = hashlib.sha256(f"{store.encoder} {CONNECTIVITY} {EXPANSION_ADD}".encode())
    digests = [digest.hexdigest()]
    for block in blocks:
        digest.update(f" {block.path.name} {block.checksum} {block.count}".encode())
        digests.append(digest.hexdigest())
    return [store.path / f"index-{space.key}-{own[:12]}.usearch" for own in digests]
