"""Denormal numbers, which are too small for a float's full precision, as zero while a model runs.

Attention over a long clip is full of them: with ALiBi the weight of a frame far away is about
1e-39. Intel processors compute with such numbers in microcode, at a hundredth of their speed: 30 s
of plus_large took 1.8 times as long. ONNX Runtime can make its own threads take them for zero, and
the caller's thread too, but the latter then keeps that mode for everything else that it runs (numpy
warns of it). So the mode of the caller's thread is switched here, while the model runs.
"""

from __future__ import annotations

import contextlib
import ctypes
import platform
import sys
from collections.abc import Iterator

_ZEROES = 0x8040
"""Bits of MXCSR: results that are denormal become zero, operands that are denormal count as zero.
See Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, 10.2.3."""

_ENVIRONMENT = ctypes.c_uint32 * 8
"""``fenv_t`` of C libraries on x86-64: the x87's 28 bytes, then MXCSR."""


def _library() -> ctypes.CDLL | None:
    """The C library, on systems whose ``fenv_t`` is the one above; None on others."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return None  # ARM computes with denormals as fast as with others
    try:
        library = ctypes.CDLL(None)
        library.fegetenv, library.fesetenv  # noqa: B018, an AttributeError if they are missing
    except (AttributeError, OSError):
        return None
    return library


_LIBRARY = _library()


@contextlib.contextmanager
def denormals_as_zero() -> Iterator[None]:
    """Take denormals for zero in the calling thread during the block."""
    if _LIBRARY is None:
        yield
        return
    before = _ENVIRONMENT()
    _LIBRARY.fegetenv(before)
    inside = _ENVIRONMENT(*before)
    inside[7] |= _ZEROES
    _LIBRARY.fesetenv(inside)
    try:
        yield
    finally:
        _LIBRARY.fesetenv(before)
