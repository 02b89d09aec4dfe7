"""Settings of a distillation that a user decides."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ..hub import Hub

LabelSource = Literal["teacher", "data", "both"]
"""The emotions that a student learns: its teacher's answers, the labels of the data, or both."""

LABEL_SOURCES: tuple[LabelSource, ...] = get_args(LabelSource)

Device = Literal["cpu", "cuda"]
"""The device on which torch runs teacher and student."""

DEVICES: tuple[Device, ...] = get_args(Device)


@dataclass(frozen=True)
class DistillationSettings:
    """Settings of a distillation that the user gives; None takes the recipe's value."""

    output: Path
    """Folder of the student, and of the saved state until it is complete. The folder beside it with
    ``.teacher`` at its end is that of a tuned teacher."""
    teachers: tuple[str, ...]
    """Bundles, checkpoints and Whisper encoders: folders, names or hub ids."""
    shape: str = "small"
    students: tuple[Path, ...] = ()
    """Checkpoints whose mean weights the student begins with; empty takes new weights."""
    inherit: bool = False
    """The student begins with the first blocks of its teacher, a Whisper as wide as it."""
    labels_from: LabelSource | None = None
    """Source of the emotions; None takes both, as far as they are there."""
    tune_teacher: bool = False
    tune_steps: int | None = None
    teacher_layers: tuple[int, ...] | None = None
    teacher_licence: str | None = None
    live: bool = False
    """The teachers hear every crop as it is made, instead of whole clips once."""
    cache: Path | None = None
    """Folder of the teachers' rows; None takes one in the cache folder."""
    validation: float = 0.08
    """Share of the clips that is held out, as whole speakers."""
    leave_out: tuple[str, ...] = ()
    """Corpora that are held out whole, besides."""
    licence: str | None = None
    """Licence of the student."""
    device: Device = "cpu"
    hub: Hub = "hf"
    offline: bool = False
    overwrite: bool = False
    seed: int = 0
    steps: int | None = None
    learning_rate: float | None = None
    batch_seconds: float | None = None
    temperature: float | None = None
    unlabelled_share: float | None = None
    speeds: tuple[float, ...] | None = None

    @property
    def tuned(self) -> Path:
        """Folder of the tuned teacher."""
        return self.output.with_name(f"{self.output.name}.teacher")
