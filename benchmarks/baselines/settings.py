"""Settings of the baselines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.engine.audio.types import Samples
from emotion2vec_edge.engine.recognizer import opening_of

Run: TypeAlias = Callable[[Samples], NDArray[np.floating[Any]]]
"""float32 [samples] at 16 kHz → probabilities [labels]. A batched baseline also takes
[clips, samples] and then returns [clips, labels]."""


@dataclass(frozen=True)
class BaselineSettings:
    """Input of a baseline's builder."""

    checkpoint: Path
    """FunASR folder of the same model."""
    threads: int
    """Threads of the processor."""
    folder: Path
    """Folder for intermediate graphs, which other baselines reuse."""
    torch_device: str = "cpu"
    """Torch's name of the processor or GPU that a batched baseline runs on."""
    temperature: float = 1.0
    """Temperature of the bundle's head, which its checkpoint does not have."""

    @classmethod
    def like(cls, recognizer: Recognizer, checkpoint: Path, folder: Path) -> BaselineSettings:
        """Settings that match a recognizer's provider, threads and temperature."""
        return cls(
            checkpoint,
            recognizer.threads,
            folder,
            opening_of(recognizer).provider.memory,
            recognizer.encoder.head.temperature,
        )
