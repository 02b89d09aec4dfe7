"""The recipe of a training: everything that repeating it needs."""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass, field

import torch

from emotion2vec_edge.engine.runtime.hardware import cpu_flags

from .augmentation import Augmentation


@dataclass(frozen=True)
class Regularization:
    """Measures against learning a small corpus by heart."""

    dropout: float = 0.1
    """Dropout of the features and of the output of each half of a block."""
    drop_path: float = 0.1
    """Share of clips for which the last block is skipped; the share falls to 0 at the first one."""
    label_smoothing: float = 0.1
    mask_frames: float = 0.05
    """Share of the features that are set to zero, in spans of up to 0.2 s."""


@dataclass(frozen=True)
class Recipe:
    """Settings of one training run."""

    steps: int = 9_000
    batch_seconds: float = 48.0
    """Seconds of audio in one step: short crops mean more clips."""
    crop_seconds: tuple[float, float] = (0.8, 3.2)
    """All clips of a batch are cut to one length between these; short and long are as frequent."""
    learning_rate: float = 1e-3
    """Highest learning rate."""
    muon_scale: float = 0.0
    """Learning rate of the blocks' matrices, which Muon then trains, against ``learning_rate``; 0
    trains them as all others."""
    warmup_steps: int = 300
    frontend_steps: int = 200
    """First steps, which teach the front-end the log-mel spectrum and nothing else."""
    mel_weight: float = 0.3
    """Weight of the spectrum's loss after them."""
    weight_decay: float = 0.05
    average_decay: float = 0.999
    bfloat16: bool = False
    """Autocast, where it is faster: see :func:`bfloat16_is_faster`."""
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)
    regularization: Regularization = field(default_factory=Regularization)

    def rate(self, step: int) -> float:
        """Learning rate at a step: a linear rise, then half a cosine down to 1 %."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        done = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        return self.learning_rate * (0.505 + 0.495 * math.cos(math.pi * min(1.0, done)))

    def as_dict(self) -> dict[str, object]:
        """The recipe for the saved state, which a resumed run is compared with."""
        return dataclasses.asdict(self)


FROM_NOTHING = Recipe()

FINETUNING = Recipe(
    steps=2_000, learning_rate=1e-4, warmup_steps=100, frontend_steps=0, mel_weight=0.0,
    average_decay=0.998,
)  # fmt: skip
"""Recipe for weights that were trained on speech before: fewer, smaller steps; no spectrum."""


def bfloat16_is_faster() -> bool:
    """True if this processor trains faster in bfloat16 than in float32.

    Its instructions decide where they leave no doubt, so that a seed gives the same weights at
    every run. Between those processors it is measured: some are slower with their instructions.
    """
    flags = cpu_flags()
    if "amx_bf16" in flags:
        return True
    if flags.isdisjoint(("avx512_bf16", "bf16")):
        return False
    return _seconds(torch.bfloat16) < 0.8 * _seconds(torch.float32)


def _seconds(dtype: torch.dtype) -> float:
    """Seconds of a matrix product; the shortest of many, as other processes only add to it."""
    a, b = torch.ones(2048, 256, dtype=dtype), torch.ones(256, 768, dtype=dtype)
    times = []
    for _ in range(30):
        started = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - started)
    return min(times)
