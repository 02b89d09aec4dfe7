"""Which GPU this is, asked of NVIDIA's driver: a Jetson may have no ``nvidia-smi`` to ask."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

MAJOR, MINOR = 75, 76
"""``CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR`` and ``…_MINOR``."""


@dataclass(frozen=True)
class Gpu:
    """One GPU, as the driver knows it."""

    name: str
    compute_capability: str
    """Such as ``8.7``."""
    driver: str
    """The newest CUDA that the driver serves, such as ``12.6``."""

    def __str__(self) -> str:
        return f"{self.name} (compute {self.compute_capability}, driver for CUDA {self.driver})"


def find_gpu(device: int = 0) -> Gpu | None:
    """The GPU of a number; None where there is no driver, or no such GPU."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    handle, version, major, minor = (ctypes.c_int() for _ in range(4))
    name = ctypes.create_string_buffer(128)
    calls = (
        (cuda.cuInit, 0),
        (cuda.cuDriverGetVersion, ctypes.byref(version)),
        (cuda.cuDeviceGet, ctypes.byref(handle), device),
        (cuda.cuDeviceGetName, name, len(name), handle),
        (cuda.cuDeviceGetAttribute, ctypes.byref(major), MAJOR, handle),
        (cuda.cuDeviceGetAttribute, ctypes.byref(minor), MINOR, handle),
    )
    if any(call(*arguments) for call, *arguments in calls):
        return None
    return Gpu(
        name.value.decode(errors="replace"),
        f"{major.value}.{minor.value}",
        f"{version.value // 1000}.{version.value % 1000 // 10}",
    )


def tensorrt_version() -> str | None:
    """The TensorRT that a session would find, such as ``10.3.0``; None where there is none."""
    for major in (11, 10, 9, 8):
        try:
            library = ctypes.CDLL(f"libnvinfer.so.{major}")
        except OSError:
            continue
        number = int(library.getInferLibVersion())
        # Up to 9 a thousand for the major version, since 10 ten thousand.
        unit = 10_000 if number >= 100_000 else 1_000
        return f"{number // unit}.{number % unit // 100}.{number % 100}"
    return None


def gpu_line() -> str | None:
    """The first GPU and the TensorRT that goes with it, for people; None where there is no GPU."""
    gpu = find_gpu()
    return None if gpu is None else f"{gpu}, TensorRT {tensorrt_version() or 'not found'}"
