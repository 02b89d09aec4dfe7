"""What is trained, on what and for how long; everything that a run can be repeated from."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field

from .augmentation import Augmentation
from .learner import Regularization


@dataclass(frozen=True)
class Recipe:
    """Settings of one training run."""

    steps: int = 9_000
    batch_seconds: float = 48.0
    """Audio in one step: more clips where they are cut short."""
    crop_seconds: tuple[float, float] = (0.8, 3.2)
    """A batch is cut to one length between these, short ones as often as long ones."""
    learning_rate: float = 1e-3
    warmup_steps: int = 300
    frontend_steps: int = 200
    """Steps in the beginning that teach the front-end the log-mel spectrum and nothing else."""
    mel_weight: float = 0.3
    """How much the spectrum counts after that."""
    weight_decay: float = 0.05
    average_decay: float = 0.999
    bfloat16: bool = False
    """Autocast. Only where it is faster: see :func:`~.precision.bfloat16_is_faster`."""
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
        """For logs and for the check that a resumed run is the same one."""
        return dataclasses.asdict(self)


FROM_NOTHING = Recipe()

FINETUNING = Recipe(
    steps=2_000, learning_rate=1e-4, warmup_steps=100, frontend_steps=0, mel_weight=0.0,
    average_decay=0.998,
)  # fmt: skip
"""For weights that know speech already: fewer steps, smaller ones, no spectrum to learn."""
