"""Weights that a student begins with: new ones, or those of students that were trained before."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.files import printable

from ...checkpoint.config import read_config
from ...checkpoint.folder import WEIGHTS, Checkpoint, load_checkpoint
from ...checkpoint.labels import parse_label
from ...finetune.training.initialization import new_model
from ...model.config import ModelConfig
from ...model.emotion2vec import Emotion2vec

HEARD_BEFORE = (
    "the held-out speakers are those of the first training if --data is the same; of other speech "
    "--student may have heard some, and figures and calibration would be too good"
)
"""Line for whoever goes on with a student."""

BLOCKS = "encoder.blocks."
"""First part of the names of the weights of the blocks."""


@dataclasses.dataclass(frozen=True)
class Beginning:
    """Students that were trained before, of one architecture; without any, a student is new."""

    students: tuple[Checkpoint, ...] = ()

    @property
    def checksum(self) -> str:
        """Checksum of their weights; empty for a new student."""
        files = "".join(student.files[WEIGHTS] for student in self.students)
        return hashlib.sha256(files.encode()).hexdigest() if files else ""

    def model(self, document: dict[str, Any], labels: int, seed: int) -> Emotion2vec:
        """A model of an architecture that has as many blocks as theirs, or more.

        It has the mean of their weights. Blocks that they lack come in even distances, and pass on
        what they get until they have learned.
        """
        model = new_model(document, labels, seed)
        if not self.students:
            return model
        trained = [student.model.state_dict() for student in self.students]
        mean = {name: torch.stack([w[name] for w in trained]).mean(dim=0) for name in trained[0]}
        weights = {name: value for name, value in mean.items() if not name.startswith(BLOCKS)}
        places = _places(self.students[0].config.depth, model.config.depth)
        for new, old in enumerate(places):
            for name in model.encoder.blocks[new].state_dict():
                weights[f"{BLOCKS}{new}.{name}"] = mean[f"{BLOCKS}{old}.{name}"]
            if new and places[new - 1] == old:
                weights |= _passing_on(weights, f"{BLOCKS}{new}.")
        model.load_state_dict(weights)
        return model


def read_beginning(
    folders: Sequence[Path],
    document: dict[str, Any],
    tokens: Sequence[str],
    tell: Callable[[str], object] = lambda _: None,
) -> Beginning:
    """Read students that were trained before.

    Args:
        folders: their checkpoints.
        document: content of the ``config.yaml`` of the student to come.
        tokens: lines of its ``tokens.txt``.
        tell: receives :data:`HEARD_BEFORE` if there are any.

    Raises:
        OptionError: they have another architecture, more blocks or other labels than it, or its
            blocks cannot pass on what they get.
        CheckpointError: one cannot be read.
    """
    wanted = read_config(document)
    labels = [parse_label(token).id for token in tokens]
    students = tuple(map(load_checkpoint, folders))
    for folder, student in zip(folders, students, strict=True):
        problem = _problem(student, students[0].config, wanted, labels)
        if problem:
            raise OptionError(f"{printable(str(folder))} cannot begin this student: {problem}")
    if students:
        tell(HEARD_BEFORE)
    return Beginning(students)


def _problem(
    student: Checkpoint, first: ModelConfig, wanted: ModelConfig, labels: Sequence[str]
) -> str | None:
    """Reason for which a student cannot be begun with; None if it can."""
    own = student.config
    if dataclasses.replace(own, depth=wanted.depth) != wanted:
        return "it has another architecture than --shape"
    if own.depth > wanted.depth:
        return f"it has {own.depth} blocks, and --shape has {wanted.depth}; give a larger one"
    if own.depth != first.depth:
        return "it has another number of blocks than the first --student"
    if own.depth < wanted.depth and (own.layer_norm_first or own.alibi_scale_per_layer):
        return "blocks that normalise first, or have a scale of ALiBi each, cannot be added to"
    if [label.id for label in student.labels] != list(labels):
        return f"its labels are not {', '.join(labels)}"
    return None


def _places(old: int, new: int) -> list[int]:
    """The block that each block of the larger model is, or follows as an added one."""
    more = new - old
    return sorted([*range(old), *(math.ceil((i + 1) * old / more) - 1 for i in range(more))])


def _passing_on(weights: dict[str, Tensor], block: str) -> dict[str, Tensor]:
    """Weights of a block that passes on what it gets, from those of the block before it.

    Attention and MLP give zero. Each LayerNorm gets the output of one before it, and gives back
    its level and width, which it took away: on average over frames, where channels are
    independent, those of that one's weights.
    """
    passing = {
        f"{block}{name}.{part}": torch.zeros_like(weights[f"{block}{name}.{part}"])
        for name in ("attn.proj", "fc2")
        for part in ("weight", "bias")
    }
    scale, shift = weights.get(f"{block}norm2.weight"), weights.get(f"{block}norm2.bias")
    if scale is not None and shift is not None:
        width = (scale.square().mean() + shift.var(unbiased=False)).sqrt()
        for norm in ("norm1", "norm2"):
            passing[f"{block}{norm}.weight"] = torch.full_like(scale, float(width))
            passing[f"{block}{norm}.bias"] = torch.full_like(shift, float(shift.mean()))
    return passing
