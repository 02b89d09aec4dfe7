"""Numbers too small for a float's full precision, taken for zero while the model runs.

Attention over a long clip is full of them: with ALiBi the weight of a frame far away is about
1e-39. Intel processors compute with such numbers in microcode, at a hundredth of their speed: 30 s
of plus_large took 1.8 times as long. ONNX Runtime can tell its own threads to take them for zero,
and the caller's thread too, but that one then stays so for everything else that runs in it (numpy
warns of it). So the caller's thread is switched here, for as long as the model runs.
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
    """Where ``fegetenv`` and ``fesetenv`` are, on systems whose ``fenv_t`` is the one above."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return None  # ARM computes with denormals as fast as with others
    try:
        library = ctypes.CDLL(None)
        library.fegetenv, library.fesetenv  # noqa: B018, found when they are looked up
    except (AttributeError, OSError):
        return None
    return library


_LIBRARY = _library()


@contextlib.contextmanager
def denormals_as_zero() -> Iterator[None]:
    """In the calling thread denormals count as zero inside, and as what they are again after."""
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
