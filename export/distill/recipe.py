"""The recipe of a distillation: everything that repeating it needs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from ..finetune.training.augmentation import Augmentation
from ..finetune.training.recipe import Recipe, Regularization


@dataclass(frozen=True)
class DistillationRecipe(Recipe):
    """Settings of one distillation."""

    muon_scale: float = 1.0
    regularization: Regularization = field(
        default_factory=lambda: Regularization(dropout=0.0, drop_path=0.0, mask_frames=0.0)
    )
    """Nothing: a student hears each clip changed anew, and has more to learn than it can."""
    frames_weight: float = 2.0
    """Weight of the distance between the teacher's frames and those read from the student's."""
    middle_weight: float = 0.5
    """Weight of the same from a block in the middle of the student, against the final frames."""
    answers_weight: float = 1.0
    """Weight of the divergence from the teacher's answers; 0 if they are not learned."""
    labels_weight: float = 1.0
    """Weight of the cross-entropy of the labels; 0 if they are not learned."""
    corpus_weight: float = 0.5
    """Weight of the same among the labels of the clip's corpus alone, against that among all."""
    temperature: float = 2.0
    """Softens the teacher's answers and the student's alike (Hinton et al. 2015)."""
    speeds: tuple[float, ...] = (0.9, 1.0, 1.12)
    """Speeds at which the teacher heard each clip, and the student hears it; none where the teacher
    hears every crop as it is made, at any speed of :attr:`augmentation`."""
    mixed_share: float = 0.4
    """Share of such crops with a second clip in them, which the teacher hears too."""
    mixed_db: tuple[float, float] = (0.0, 12.0)
    """Level of the first clip above the second."""
    moved_share: float = 0.5
    """Share of such crops whose formants are moved, as if another person had spoken."""
    moved_by: tuple[float, float] = (0.82, 1.22)
    """Least and greatest factor of their frequencies."""
    unlabelled_share: float = 0.5
    """Share of the clips of a step that have no label, where there are both."""
    corpus_power: float = 0.3
    """Labelled corpora weigh their number of clips to this power."""
    led: tuple[float, float] = (0.0, 0.0)
    """Parts of the steps until which all clips of an heir are led, and from which none is."""
    teachers: tuple[str, ...] = ()
    """Keys of the teachers' rows."""
    data: str = ""
    """Checksum of the speech and its labels."""
    shape: str = ""
    """Checksum of the student's ``config.yaml``."""
    student: str = ""
    """Checksum of the weights that it began with; empty for new ones."""


FIRST_ALONE = 0.4
"""Part of the steps in which the front-end and the first block of a new heir learn alone."""
LED = (0.45, 0.55)
"""Parts of the steps that are led where the blocks are new to the student."""


def inheriting(recipe: DistillationRecipe, *, new: bool) -> DistillationRecipe:
    """The recipe for a student that inherits its teacher's blocks.

    Muon would turn each of their matrices as a whole, and the teacher's answers are nearer than
    the labels. The spectrum pulls the front-end away from what the first block needs: without it
    the frames of the blocks were nearer after as many steps.

    Args:
        recipe: that for any student.
        new: False for a student that goes on.
    """
    recipe = dataclasses.replace(
        recipe, muon_scale=0.0, answers_weight=2.0, labels_weight=0.5, mel_weight=0.0
    )
    if not new:
        return recipe
    return dataclasses.replace(recipe, frontend_steps=round(FIRST_ALONE * recipe.steps), led=LED)


@dataclass(frozen=True)
class TuningRecipe(Recipe):
    """Settings of the fine-tuning of a teacher."""

    steps: int = 1_500
    batch_seconds: float = 56.0
    crop_seconds: tuple[float, float] = (1.0, 4.0)
    learning_rate: float = 6e-5
    warmup_steps: int = 100
    frontend_steps: int = 0
    mel_weight: float = 0.0
    weight_decay: float = 0.02
    average_decay: float = 0.998
    augmentation: Augmentation = field(
        default_factory=lambda: Augmentation(speed=(0.88, 1.14), other_share=0.15)
    )
    layer_decay: float = 0.75
    """Learning rate of each layer against that of the one above it."""
    head_scale: float = 15.0
    """Learning rate of the new head against that of the last layer."""
    teacher: str = ""
    """Key of the teacher's rows before the tuning."""
    data: str = ""
    """Checksum of the speech and its labels."""
