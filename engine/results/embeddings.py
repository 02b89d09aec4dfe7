"""Embeddings as ``.npy`` files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..files import printable, reported, write_file


def npy_bytes(embedding: NDArray[np.float32]) -> bytes:
    """Content of the ``.npy`` file of an embedding, float32 [dim], or of several, [turns, dim]."""
    content = io.BytesIO()
    np.save(content, embedding)
    return content.getvalue()


class EmbeddingFolder:
    """A folder of embeddings under the names of their recordings.

    Args:
        path: the folder; it is made if it does not exist.

    Raises:
        OutputError: the folder cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._taken: set[str] = set()
        with reported(path):
            path.mkdir(parents=True, exist_ok=True)

    def save(self, name: str, embedding: NDArray[np.float32]) -> str:
        """Write ``NAME.npy``, or ``NAME~2.npy`` if this run has written one of that name.

        Returns:
            printable path of the file.

        Raises:
            OutputError: the file cannot be written.
        """
        free, count = name, 1
        while free in self._taken:
            count += 1
            free = f"{name}~{count}"
        self._taken.add(free)
        path = self.path / f"{free}.npy"
        write_file(path, npy_bytes(embedding))
        return printable(str(path))
