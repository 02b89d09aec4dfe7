"""What a figure was measured on, and whether anything else ran there."""

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
"""Share of the processors' time that others may take before a figure is called into doubt."""

PACKAGES = ("emotion2vec-edge", "numpy", "onnxruntime", "onnxruntime-gpu", "torch", "openvino",
            "nncf", "funasr")  # fmt: skip


@dataclass(frozen=True)
class Machine:
    """Where something was measured."""

    processor: str
    processors: int
    """That this process may use."""
    instructions: tuple[str, ...]
    memory_gib: float
    system: str
    python: str
    packages: dict[str, str]
    busy: float
    """Share of the processors' time that was taken before the measurement began."""
    gpu: str = ""
    """Empty where there is none."""

    def lines(self) -> list[str]:
        """For people."""
        lines = [
            f"{self.processor}, {self.processors} processors ({', '.join(self.instructions)}), "
            f"{self.memory_gib:.0f} GiB, {self.system}, Python {self.python}",
            ", ".join(f"{name} {version}" for name, version in self.packages.items()),
        ]
        if self.gpu:
            lines.insert(1, self.gpu)
        if self.busy > BUSY_SHARE:
            lines.append(
                f"NOT A QUIET MACHINE: {self.busy:.0%} of its processors' time was taken before "
                "this began; measure again when nothing else runs"
            )
        return lines

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)


def describe(watch_seconds: float = 1.0) -> Machine:
    """This machine, after watching for a moment what else it does."""
    before = _busy_and_all()
    time.sleep(watch_seconds)
    after = _busy_and_all()
    everything = after[1] - before[1]
    return Machine(
        processor=_processor(),
        processors=usable_threads(),
        instructions=tuple(cpu_features()),
        memory_gib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        packages=_versions(),
        busy=(after[0] - before[0]) / everything if everything else 0.0,
        gpu=gpu_line() or "",
    )


def _busy_and_all() -> tuple[int, int]:
    """Ticks that were not idle, and all ticks, of all processors."""
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
