"""Reading of ``.npy`` content from outside, with its type and shape checked first."""

from __future__ import annotations

import math
import re
from typing import Literal

import numpy as np
from numpy.typing import NDArray

MOST_VALUE = 1e6
"""Largest weight or activation. Real ones are below 100; sums of products must not overflow."""

FLOATS = ("<f2", "<f4", "<f8", ">f2", ">f4", ">f8")
"""Types that are read, as numpy writes them: byte order, float, and bytes."""

MOST_HEADER_BYTES = 1 << 16

_START = re.compile(rb"\x93NUMPY(?:\x01\x00(..)|\x02\x00(....))", re.DOTALL)
"""Magic bytes, version, and length of the header: 2 bytes in version 1, 4 bytes in version 2."""

_HEADER = re.compile(
    rb"\{'descr': *'([<>=|]?[a-zA-Z]\d*)', *'fortran_order': *(True|False), "
    rb"*'shape': *\(([0-9, ]*)\),? *\}\s*"
)
"""The header as numpy writes it. numpy itself evaluates it as a Python literal."""


def most_bytes(shape: tuple[int, ...]) -> int:
    """Bytes of the largest ``.npy`` of floats of a shape."""
    return 8 * math.prod(shape) + MOST_HEADER_BYTES


def read_floats(content: bytes, expected: tuple[int, ...]) -> NDArray[np.float32]:
    """The array in the bytes of a ``.npy``: float32 of the expected shape.

    ``numpy.load`` makes room for whatever size the header names, and unpickles objects.

    Raises:
        ValueError: it is not an array of floats of this shape, or holds NaN or huge values.
    """
    start = _START.match(content)
    if start is None:
        raise ValueError("not a .npy file of version 1 or 2")
    data = start.end() + int.from_bytes(start[1] or start[2], "little")
    header = _HEADER.fullmatch(content[start.end() : min(data, MOST_HEADER_BYTES)])
    if header is None or data > len(content):
        raise ValueError("its header is not that of an array of numbers")
    kind, in_columns, sizes = (part.decode() for part in header.groups())
    shape = tuple(int(size) for size in sizes.split(",") if size.strip())
    if shape != expected:
        raise ValueError(f"its shape is {shape}, and {expected} is needed")
    if kind not in FLOATS:
        raise ValueError(f"its type is {kind}, and one of {', '.join(FLOATS)} is needed")
    values = np.frombuffer(content, kind, math.prod(expected), data).astype(np.float64)
    if not (np.abs(values) <= MOST_VALUE).all():  # NaN too
        raise ValueError(f"it holds values beyond ±{MOST_VALUE:g}, or NaN")
    order: Literal["F", "C"] = "F" if in_columns == "True" else "C"
    return values.reshape(expected, order=order).astype(np.float32)
