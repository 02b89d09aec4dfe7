"""A student in training that began as the first blocks of its teacher."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...finetune.training.learner import Heard
from ...finetune.training.trainable import Losses, ParameterGroup
from ...model.emotion2vec import Emotion2vec
from ..lessons.batches import DistillationBatch
from ..recipe import DistillationRecipe
from ..teachers.base import Teacher
from .learner import Student, frames_distance

INHERITED_RATE = 0.4
"""Learning rate of the matrices of the blocks behind the first against that of all else."""
INNER = 0.25
"""Weight of a block inside against the first and the last, where the frames are compared."""


class Heir(Student):
    """A student whose blocks are those of its teacher.

    Each block shall give what the teacher's gives, and learns from its own error alone: those of
    the blocks behind it, which came down through all of them, spoiled what was inherited, at small
    steps too. At first the front-end, which is new, and the first block, which was the one that
    used the places in the clip most, learn by themselves, in shorter steps. Then the blocks are
    led: each hears what the teacher's block before it gave. Then fewer and fewer clips are led. The
    last block learns the answers as well, and the teacher's blocks that the student lacks are read
    from its frames.
    """

    inner_heads = False

    def __init__(
        self, model: Emotion2vec, labels: int, recipe: DistillationRecipe,
        teachers: Sequence[Teacher],
    ) -> None:  # fmt: skip
        super().__init__(model, labels, recipe, teachers)
        teacher, blocks = teachers[0], model.encoder.every_block
        self.depth = len(blocks)
        later = teacher.layers - self.depth
        sizes = [later * teacher.dim] if later else []
        self.readers = nn.ModuleList(nn.Linear(model.config.embed_dim, size) for size in sizes)
        self._given: list[Tensor] = []
        self._lesson: tuple[Tensor, Tensor] | None = None
        for block in blocks:
            block.register_forward_hook(self._lead)

    def parameter_groups(self, weight_decay: float) -> list[ParameterGroup]:
        """As those of a :class:`Student`; blocks behind the first take smaller steps."""
        *others, matrices = super().parameter_groups(weight_decay)
        first = {id(p) for p in self.model.encoder.every_block[0].parameters()}
        return [
            *others,
            dataclasses.replace(matrices, params=[p for p in matrices.params if id(p) in first]),
            dataclasses.replace(
                matrices,
                params=[p for p in matrices.params if id(p) not in first],
                scale=matrices.scale * INHERITED_RATE,
            ),
        ]

    def losses(self, batch: DistillationBatch, step: int) -> Losses:
        """See :meth:`Student.losses`; at first those of the first block alone."""
        if step < self.recipe.frontend_steps:
            first = self._first_distance(batch)
            return Losses(first, first, {"frames": first})
        taught = batch.taught[0]
        share = led_share(self.distillation.led, step / self.recipe.steps)
        self._lesson = (taught, torch.rand(len(taught), 1, 1, device=taught.device) < share)
        self._given.clear()
        try:
            return super().losses(batch, step)
        finally:
            self._lesson = None

    def frames_loss(self, heard: Heard, batch: DistillationBatch) -> Tensor:
        """Distance of each block's frames from the teacher's, and of those that are read."""
        extra, taught = self.model.config.num_extra_tokens, batch.taught[0]
        distances = [
            frames_distance(given[:, extra:], taught[:, :, index], heard.valid)
            for index, given in enumerate(self._given)
        ]
        weights = [1.0] + [INNER] * (self.depth - 2) + [1.0] * (self.depth > 1)
        if self.readers:
            later = taught[:, :, self.depth :]
            read = self.readers[0](heard.frames).unflatten(-1, later.shape[-2:])
            distances.append(frames_distance(read, later, heard.valid))
            weights.append(1.0)
        total = torch.stack(distances) @ torch.tensor(weights, device=taught.device)
        return total / sum(weights)

    def _first_distance(self, batch: DistillationBatch) -> Tensor:
        """Distance of the first block's frames from the teacher's; the others do not run."""
        encoder, extra = self.model.encoder, self.model.config.num_extra_tokens
        features = self.model.frontend(batch.waves)
        valid = self._valid(features, batch.lengths)
        tokens, biases, _ = encoder.begin(features, valid.sum(dim=1).long())
        given = encoder.every_block[0](tokens, biases[0])[:, extra:]
        return frames_distance(given, batch.taught[0][:, :, 0], valid)

    def _lead(self, _: nn.Module, __: object, given: Tensor) -> Tensor:
        """Input of the next block: the teacher's frames for clips that are led, else its own."""
        if self._lesson is None:
            return given
        taught, led = self._lesson
        index, extra = len(self._given), self.model.config.num_extra_tokens
        self._given.append(given)
        if index + 1 == self.depth:
            return given
        own = given.detach()
        tokens = torch.cat([own[:, :extra], taught[:, :, index].to(given.dtype)], dim=1)
        return torch.where(led, tokens, own)


def led_share(led: tuple[float, float], done: float) -> float:
    """Share of the clips that are led when a part of the steps is done.

    Args:
        led: see :attr:`~..recipe.DistillationRecipe.led`.
        done: part of the steps.
    """
    until, none = led
    return 0.0 if done >= none else min(1.0, (none - done) / (none - until))
