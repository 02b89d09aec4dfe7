"""The machine that a measurement ran on, and the load on it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from emotion2vec_edge.engine.runtime.hardware import cpu_features, gpu_line, usable_threads

BUSY_SHARE = 0.1
"""Share of processor time taken by other processes above which the document says so."""

PACKAGES = ("emotion2vec-edge", "numpy", "onnxruntime", "onnxruntime-gpu", "torch", "openvino",
            "nncf", "funasr")  # fmt: skip
"""Distributions whose versions are recorded."""


@dataclass(frozen=True)
class Machine:
    """Hardware and software of a measurement."""

    processor: str
    processors: int
    """Logical processors that this process may use."""
    instructions: tuple[str, ...]
    """Instruction sets that matter for speed."""
    memory_gib: float
    system: str
    python: str
    packages: dict[str, str]
    """Distribution → version, if installed."""
    busy: float
    """Share of all processors' time taken by other processes before the measurement, 0 to 1."""
    gpu: str = ""
    """Name of the GPU; empty if there is none."""

    def lines(self) -> list[str]:
        """The facts as lines of text, with a warning if the machine was busy."""
        lines = [
            f"{self.processor}, {self.processors} processors ({', '.join(self.instructions)}), "
            f"{self.memory_gib:.0f} GiB, {self.system}, Python {self.python}",
            ", ".join(f"{name} {version}" for name, version in self.packages.items()),
        ]
        if self.gpu:
            lines.insert(1, self.gpu)
        if self.busy > BUSY_SHARE:
            lines.append(
                f"NOT A QUIET MACHINE: other processes took {self.busy:.0%} of the processors' "
                "time before this began; measure again when nothing else runs"
            )
        return lines

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)


def describe(watch_seconds: float = 1.0) -> Machine:
    """This machine; its load is watched for ``watch_seconds``."""
    busy_before, all_before = _processor_ticks()
    time.sleep(watch_seconds)
    busy_after, all_after = _processor_ticks()
    ticks = all_after - all_before
    return Machine(
        processor=_processor(),
        processors=usable_threads(),
        instructions=tuple(cpu_features()),
        memory_gib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        packages=_versions(),
        busy=(busy_after - busy_before) / ticks if ticks else 0.0,
        gpu=gpu_line() or "",
    )


def _processor_ticks() -> tuple[int, int]:
    """Clock ticks that were not idle, and all ticks, summed over the processors."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").split("\n")[0].split()[1:9]
    except OSError:
        return 0, 0
    ticks = [int(field) for field in fields]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.lower().startswith(("model name", "hardware")):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown processor"


def _versions() -> dict[str, str]:
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
