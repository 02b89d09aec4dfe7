"""The student in training: readers of its frames, and the losses against teacher and labels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - the name that every torch user reads
from torch import Tensor, nn

from ...finetune.training.learner import (
    EmotionLearner,
    Heard,
    cross_entropy,
    deeply_supervised,
)
from ...finetune.training.trainable import Losses
from ...model.emotion2vec import Emotion2vec
from ..lessons.batches import DistillationBatch
from ..recipe import DistillationRecipe
from ..teachers.base import Teacher

IMPOSSIBLE = -1e4
"""Logit of a label that the corpus of a clip does not have."""


class Student(EmotionLearner[DistillationBatch]):
    """A model that learns from teachers, and from labels where there are any.

    A linear reader for each teacher predicts its layers from the student's final frames, another
    from a block in the middle. The readers are not part of the result: what they read is.
    """

    def __init__(
        self, model: Emotion2vec, labels: int, recipe: DistillationRecipe,
        teachers: Sequence[Teacher],
    ) -> None:  # fmt: skip
        super().__init__(model, labels, recipe)
        self.distillation = recipe
        dim = model.config.embed_dim
        sizes = [teacher.layers * teacher.dim for teacher in teachers]
        self.readers = nn.ModuleList(nn.Linear(dim, size) for size in sizes)
        inner = sizes if self.taps else []
        self.middle_readers = nn.ModuleList(nn.Linear(dim, size) for size in inner)

    def losses(self, batch: DistillationBatch, step: int) -> Losses:
        """Distances from the teacher's frames and answers, from the labels and the spectrum."""
        recipe = self.distillation
        if step < recipe.frontend_steps:
            mel = self.frontend_loss(batch.waves, batch.lengths)
            return Losses(mel, torch.zeros(()), {"mel": mel})
        heard = self.hear(batch.waves, batch.lengths)
        frames = self.frames_loss(heard, batch)
        total = recipe.frames_weight * frames + recipe.mel_weight * heard.mel
        parts = {"frames": frames, "mel": heard.mel}
        if recipe.answers_weight and batch.answers is not None:
            wanted = soft_answers(batch, recipe.temperature)
            distances = [divergence(a, wanted, recipe.temperature) for a in heard.answers]
            total = total + recipe.answers_weight * deeply_supervised(distances)
            parts["answers"] = distances[0]
        if recipe.labels_weight and bool(batch.labelled.any()):
            smoothing = self.settings.label_smoothing
            distances = [label_loss(a, batch, smoothing, recipe) for a in heard.answers]
            total = total + recipe.labels_weight * deeply_supervised(distances)
            parts["labels"] = distances[0]
        return Losses(total, total, parts)

    def frames_loss(self, heard: Heard, batch: DistillationBatch) -> Tensor:
        """Distance between the taught layers and those that are read from the frames."""
        loss = self._read_loss(self.readers, heard.frames, heard.valid, batch)
        if self.middle_readers:
            middle = self._read_loss(self.middle_readers, heard.tapped[-1], heard.valid, batch)
            loss = loss + self.distillation.middle_weight * middle
        return loss

    @staticmethod
    def _read_loss(
        readers: nn.ModuleList, frames: Tensor, valid: Tensor, batch: DistillationBatch
    ) -> Tensor:
        """Distance between the taught layers and those that are read from the student's frames.

        Args:
            readers: one for each teacher.
            frames: [batch, frames, dim] of the student.
            valid: float32 [batch, frames], 1 on the frames of each clip.
            batch: the batch.
        """
        losses = []
        for reader, taught in zip(readers, batch.taught, strict=True):
            wanted = F.layer_norm(taught, taught.shape[-1:])
            read = reader(frames).unflatten(-1, wanted.shape[-2:])
            losses.append(frames_distance(read, wanted, valid))
        return torch.stack(losses).mean()


def frames_distance(found: Tensor, wanted: Tensor, valid: Tensor) -> Tensor:
    """Smooth L1 distance over the frames of the clips.

    Args:
        found: [batch, frames, ...].
        wanted: of the same shape.
        valid: float32 [batch, frames], 1 on the frames of each clip.
    """
    distance = F.smooth_l1_loss(found.float(), wanted, reduction="none")
    return (distance.flatten(2).mean(dim=2) * valid).sum() / valid.sum()


def soft_answers(batch: DistillationBatch, temperature: float) -> Tensor:
    """Probabilities that the student should give: those for the clip and for what is mixed in."""
    if batch.answers is None:
        raise TypeError("a batch of teachers without answers")
    own = (batch.answers / temperature).softmax(dim=-1)
    return own + batch.share[:, None] * (own[batch.partner] - own)


def divergence(logits: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence at a temperature, of the size of the loss at 1.

    Args:
        logits: [batch, labels].
        wanted: probabilities at the temperature, [batch, labels].
        temperature: the temperature.
    """
    found = F.log_softmax(logits.float() / temperature, dim=-1)
    return F.kl_div(found, wanted, reduction="batchmean") * temperature**2


def label_loss(
    logits: Tensor, batch: DistillationBatch, smoothing: float, recipe: DistillationRecipe
) -> Tensor:
    """Cross-entropy of the labels, among all labels and among those of each clip's corpus.

    What a corpus lacks is no less likely outside of it: the second part is not told so.
    """
    other, share = batch.partner, batch.share[:, None]
    mixes = batch.labelled[other][:, None] & (share > 0)  # a partner without a label is noise
    mixed = batch.targets + share * mixes * (batch.targets[other] - batch.targets)
    allowed = batch.allowed | (batch.allowed[other] & mixes)
    own = batch.labelled
    logits = logits.float()
    everywhere = cross_entropy(logits[own], mixed[own], smoothing)
    inside = logits.masked_fill(~allowed, IMPOSSIBLE)
    return everywhere + recipe.corpus_weight * cross_entropy(inside[own], mixed[own], 0.0)
