"""Reading of ``.npy`` content from outside, with its type and shape checked first."""

from __future__ import annotations

import io
import math

import numpy as np
from numpy.typing import NDArray

MOST_VALUE = 1e6
"""Largest weight or activation. Real ones are below 100; sums of products must not overflow."""

MOST_HEADER_BYTES = 1 << 16

_READ_HEADER = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def most_bytes(shape: tuple[int, ...]) -> int:
    """Bytes of the largest ``.npy`` of floats of a shape."""
    return 8 * math.prod(shape) + MOST_HEADER_BYTES


def read_floats(content: bytes, expected: tuple[int, ...]) -> NDArray[np.float32]:
    """The array in the bytes of a ``.npy``: float32 of the expected shape.

    ``numpy.load`` makes room for whatever size the header names, and unpickles objects.

    Raises:
        ValueError: it is not an array of floats of this shape, or holds NaN or huge values.
    """
    stream = io.BytesIO(content)
    read_header = _READ_HEADER.get(np.lib.format.read_magic(stream))
    if read_header is None:
        raise ValueError("an unknown version of the .npy format")
    shape, in_columns, dtype = read_header(stream)
    if shape != expected:
        raise ValueError(f"its shape is {shape}, and {expected} is needed")
    if dtype.kind != "f":
        raise ValueError(f"it holds {dtype}, and floats are needed")
    count = math.prod(expected)
    values = np.frombuffer(content, dtype, count, stream.tell()).astype(np.float64)
    if not (np.abs(values) <= MOST_VALUE).all():  # NaN too
        raise ValueError(f"it holds values beyond ±{MOST_VALUE:g}, or NaN")
    return values.reshape(expected, order="F" if in_columns else "C").astype(np.float32)
