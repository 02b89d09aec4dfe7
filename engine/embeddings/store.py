"""A store of embeddings: a folder of blocks, which grows and which anyone can read.

::

    STORE/
      store.json      the model that made it
      000001.npz      vectors, float32 [count, dim]
      000001.jsonl    a line for each of them: path, times, label, speaker, scores

A block is written whole, its lines before its vectors, and is there once its ``.npz`` is. Whatever
ends the process, what was there stays readable.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..bundle.manifest import Manifest, encoder_id
from ..bundle.npy import read_arrays
from ..errors import BundleFormatError, OutputError, StoreError
from ..fields import Fields, read_json
from ..files import printable, read_regular, reported, try_lock, write_file
from .clips import StoredClip, clip_row, read_clip
from .space import checked_vectors

SCHEMA = 1
MARKER = "store.json"
BLOCK = 1_024
"""Embeddings of a block, at most."""
MOST_BLOCK_BYTES = 256 << 20
"""Bytes of the lines of a block."""


@dataclass(frozen=True, eq=False)
class Content:
    """All that a store holds."""

    vectors: NDArray[np.float32]
    """float32 [count, dim]."""
    clips: list[StoredClip]


@dataclass(frozen=True)
class Block:
    """One block of a store, without its content."""

    path: Path
    """File of its vectors, ``.npz``."""
    checksum: int
    """CRC-32 of the vectors."""
    count: int
    """Embeddings that it holds."""


class Store:
    """A store of embeddings in a folder. One process at a time may write to it.

    Args:
        path: the folder.

    Raises:
        StoreError: there is no store, or ``store.json`` cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not (path / MARKER).is_file():
            raise StoreError(
                f"{_shown(path)}: no store of embeddings; 'e2v embed AUDIO -o STORE' makes one"
            )
        fields = read_json(path / MARKER, StoreError)
        fields.integer("schema", least=1, most=SCHEMA)
        self.model = fields.text("model")
        self.encoder = fields.text("encoder")
        self.dim = fields.integer("dim", most=1 << 14)
        fields.refuse_others()

    @classmethod
    def open(cls, path: Path, manifest: Manifest) -> Store:
        """Open the store of a model's embeddings, or make it.

        Raises:
            StoreError: the store is of another model, or the folder holds other things.
            OutputError: it cannot be made.
        """
        if not (path / MARKER).is_file():
            if path.exists() and not (path.is_dir() and next(path.iterdir(), None) is None):
                raise StoreError(f"{_shown(path)}: exists and is no store; give a new folder")
            document = {
                "schema": SCHEMA, "model": manifest.name, "encoder": encoder_id(manifest),
                "dim": manifest.architecture.embed_dim,
            }  # fmt: skip
            write_file(path / MARKER, json.dumps(document, indent=2).encode() + b"\n")
        store = cls(path)
        store.check_model(manifest)
        return store

    def check_model(self, manifest: Manifest) -> None:
        """Refuse another model, whose vectors cannot be compared with those of the store.

        Raises:
            StoreError: it is another.
        """
        if (self.encoder, self.dim) != (encoder_id(manifest), manifest.architecture.embed_dim):
            raise StoreError(
                f"{_shown(self.path)}: holds embeddings of {self.model} (encoder {self.encoder}), "
                f"and the model is {manifest.name} (encoder {encoder_id(manifest)}); give its "
                "model with --model, or embed the recordings again into a new store"
            )

    def append(self, vectors: NDArray[np.float32], clips: Sequence[StoredClip]) -> None:
        """Add embeddings as one block.

        Args:
            vectors: float32 [count, dim].
            clips: the same number.

        Raises:
            OptionError: another shape, or NaN.
            OutputError: the block cannot be written; the store is as it was.
        """
        if not clips:
            return
        vectors = checked_vectors(vectors, self.dim)
        last = max([0, *(int(block.stem) for block in self._blocks())])
        block = self.path / f"{last + 1:06}.npz"
        lines = (json.dumps(clip_row(c), ensure_ascii=False, allow_nan=False) + "\n" for c in clips)
        write_file(block.with_suffix(".jsonl"), [line.encode() for line in lines])
        content = io.BytesIO()
        np.savez(content, vectors=vectors.astype("<f4"))
        write_file(block, content.getvalue())

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Keep other processes from writing.

        Raises:
            OutputError: another process is writing.
        """
        with reported(self.path):
            descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if not try_lock(descriptor):
                raise OutputError(f"{_shown(self.path)}: another process is writing to it")
            yield
        finally:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def clips(self) -> Iterator[StoredClip]:
        """Everything but the vectors, in order.

        Raises:
            StoreError: a block is damaged.
        """
        for block in self._blocks():
            yield from self._clips(block, enumerate(self._lines(block), 1))

    def read(self) -> Content:
        """Vectors and clips, in order.

        Raises:
            StoreError: a block is damaged; the message names it, and the way to keep the others.
        """
        vectors, clips = [np.zeros((0, self.dim), np.float32)], []
        for block in self._blocks():
            content = self.read_block(block)
            vectors.append(content.vectors)
            clips += content.clips
        return Content(np.concatenate(vectors), clips)

    def blocks(self) -> list[Block]:
        """Blocks in order, of which no vectors are read.

        Raises:
            StoreError: a block is damaged.
        """
        import zipfile

        blocks = []
        for path in self._blocks():
            try:
                with zipfile.ZipFile(path) as archive, archive.open("vectors.npy") as file:
                    np.lib.format.read_magic(file)
                    (count, _), _, _ = np.lib.format.read_array_header_1_0(file)
                    blocks.append(Block(path, archive.getinfo("vectors.npy").CRC, count))
            except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
                raise self._damaged(path, str(error)) from None
        return blocks

    def read_block(self, block: Path, chosen: Sequence[int] | None = None) -> Content:
        """Vectors and clips of one block.

        Args:
            block: its ``.npz``.
            chosen: numbers of those that are wanted, from 0; None for all.

        Raises:
            StoreError: it is damaged; the message names it, and the way to keep the others.
        """
        lines = self._lines(block)
        try:
            arrays = read_arrays(block, {"vectors": (len(lines), self.dim)}, "a block")
        except BundleFormatError as error:
            raise self._damaged(block, str(error).rpartition("not a block: ")[2]) from None
        if chosen is None:
            return Content(arrays["vectors"], self._clips(block, enumerate(lines, 1)))
        wanted = [(number + 1, lines[number]) for number in chosen]
        return Content(arrays["vectors"][list(chosen)], self._clips(block, wanted))

    def _blocks(self) -> list[Path]:
        return sorted(
            path for path in self.path.glob("*.npz") if re.fullmatch(r"\d{6,9}", path.stem)
        )

    def _lines(self, block: Path) -> list[str]:
        path = block.with_suffix(".jsonl")
        try:
            return read_regular(path, MOST_BLOCK_BYTES).decode("utf-8").split("\n")[:-1]
        except (OSError, ValueError) as error:
            raise self._damaged(path, getattr(error, "strerror", None) or str(error)) from None

    def _clips(self, block: Path, lines: Iterable[tuple[int, str]]) -> list[StoredClip]:
        """Clips in lines, each with its number from 1."""
        path = block.with_suffix(".jsonl")
        try:
            return [
                read_clip(Fields(json.loads(line), f"{_shown(path)}: line {number}", StoreError))
                for number, line in lines
            ]
        except (ValueError, RecursionError) as error:
            if isinstance(error, StoreError):
                raise
            raise self._damaged(path, str(error)) from None

    def _damaged(self, path: Path, reason: str) -> StoreError:
        return StoreError(
            f"{_shown(path)}: the block is damaged or cut off: {reason}; move {path.stem}.npz and "
            f"{path.stem}.jsonl away and embed those recordings again, the other blocks are kept"
        )


def _shown(path: Path) -> str:
    return printable(str(path))
