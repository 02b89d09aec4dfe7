"""Reading of ``.npy`` and ``.npz`` content from outside, with types and shapes checked first."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import BundleFormatError
from ..files import open_regular

if TYPE_CHECKING:
    import zipfile

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


def read_arrays(
    path: Path, shapes: Mapping[str, tuple[int, ...]], kind: str
) -> dict[str, NDArray[np.float32]]:
    """Arrays of an ``.npz`` by name: float32 of the expected shapes; others are not looked at.

    No more is decompressed than arrays of these shapes take.

    Args:
        path: the file.
        shapes: name and expected shape of each array.
        kind: the contents of the file, with an article, for messages.

    Raises:
        BundleFormatError: the file does not hold such arrays.
    """
    import zipfile  # most bundles have no such file
    import zlib

    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            return {name: _array(archive, name, shape) for name, shape in shapes.items()}
    except KeyError as error:
        raise BundleFormatError(f"{path}: not {kind}: {error.args[0]}") from None
    except (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise BundleFormatError(f"{path}: not {kind}: {error}") from None


def _array(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    import zipfile

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
