"""The last step of a model: logits from frames, with a head of one's own and a temperature.

A head that was fitted on one's own labels is ``head.npz`` beside the variants, so that one file
serves every precision; without it the graphs' own logits are used. Logits are divided by a
temperature that was fitted on held-out speech (Guo et al. 2017): no answer changes, and 80 % then
means right four times out of five on such speech.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import BundleFormatError
from ..files import open_regular
from .npy import most_bytes, read_floats

HEAD = "head.npz"


@dataclass(frozen=True)
class Head:
    """Turns the encoder's outputs into logits."""

    weight: NDArray[np.float32] | None = None
    """float32 [labels, dim]; None uses the graph's own logits."""
    bias: NDArray[np.float32] | None = None
    """float32 [labels]."""
    temperature: float = 1.0

    def __call__(
        self, frames: NDArray[np.float32], logits: NDArray[np.float32] | None
    ) -> NDArray[np.float32] | None:
        """Logits of every frame.

        Args:
            frames: float32 [frames, dim].
            logits: those of the graph, float32 [frames, labels]; None if it has no head.

        Returns:
            float32 [frames, labels]; None for a model without any head.
        """
        if self.weight is not None and self.bias is not None:
            logits = frames @ self.weight.T + self.bias
        if logits is None or self.temperature == 1.0:
            return logits
        scaled: NDArray[np.float32] = logits / np.float32(self.temperature)
        return scaled


def read_head(path: Path, labels: int, dim: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weight [labels, dim] and bias [labels] of a ``head.npz``.

    No more is decompressed than arrays of these shapes take.

    Raises:
        BundleFormatError: the file is no head of this model.
    """
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            return _array(archive, "weight", (labels, dim)), _array(archive, "bias", (labels,))
    except KeyError as error:
        raise BundleFormatError(f"{path}: not a head: {error.args[0]}") from None
    except (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise BundleFormatError(f"{path}: not a head: {error}") from None


def _array(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1:
        raise ValueError(f"{name} is encrypted or compressed in an unknown way")
    if info.file_size > most_bytes(shape):
        raise ValueError(f"{name} has {info.file_size} bytes, more than {shape} floats take")
    with archive.open(info) as file:
        content = file.read(info.file_size)  # no more is unpacked, whatever follows
    try:
        return read_floats(content, shape)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
