"""Batches for a student: it hears changed sound, and the teacher's rows are of the clean one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emotion2vec_edge.engine.audio.types import SAMPLE_RATE

from ...finetune.embeddings import padded
from ...finetune.speech import Speech
from ...finetune.training.ahead import Ahead, spare_threads
from ...finetune.training.augmentation import augment
from ...finetune.training.batches import StepRandom
from ...model.padding import normalized_batch
from ..recipe import DistillationRecipe
from ..teachers.base import FRAMES, Teacher
from .crops import Crops, CropSource


@dataclass(frozen=True)
class DistillationBatch:
    """One batch."""

    waves: Tensor
    """float32 [batch, samples], each normalised, zero beyond its length."""
    lengths: Tensor
    """int64 [batch], samples."""
    taught: tuple[Tensor, ...]
    """Layers of each teacher for the crop as it was before it was changed, float32
    [batch, frames, layers, dim]; zero beyond a crop's frames."""
    answers: Tensor | None
    """The teachers' logits for the crop, float32 [batch, labels]; None if they give none."""
    targets: Tensor
    """float32 [batch, labels]: share of each label in the clip; zero for a clip without one."""
    labelled: Tensor
    """True for a clip with a label: bool [batch]."""
    allowed: Tensor
    """True for the labels of the clip's corpus: bool [batch, labels]."""
    partner: Tensor
    """Index of the clip that is mixed into each, int64 [batch]."""
    share: Tensor
    """Share of the partner in the sound, float32 [batch], 0 for most."""


class DistillationBatches:
    """The batches of a distillation; each depends on the recipe's seed and its step alone."""

    def __init__(
        self, speech: Speech, source: CropSource, recipe: DistillationRecipe, labels: int,
        device: torch.device,
    ) -> None:  # fmt: skip
        """Prepare the batches.

        Args:
            speech: labelled and unlabelled clips.
            source: makes crops of them.
            recipe: the recipe.
            labels: number of labels.
            device: where the batches are made and used.
        """
        self.speech, self.source, self.recipe = speech, source, recipe
        self.labels, self.device = labels, device
        self._weights = draw_weights(speech, recipe.unlabelled_share, recipe.corpus_power)
        self._allowed = labels_of_corpora(speech, labels)
        self._drafts = Ahead(self._draft, spare_threads(device))

    def __getitem__(self, step: int) -> DistillationBatch:
        """The batch of a step; also seeds torch's generators for the dropout of this step."""
        recipe, device = self.recipe, self.device
        random, picked, crops = self._drafts[step]
        random.seed_dropout()
        heard = crops.rows()
        waves, lengths = padded(crops.waves)
        waves, lengths = waves.to(device), lengths.to(device)
        waves = normalized_batch(waves, lengths)
        waves, partner, share = augment(waves, lengths, recipe.augmentation, random.generator)
        labels = torch.from_numpy(np.where(crops.mixed, -1, self.speech.labels[picked]))
        own = torch.eye(self.labels)[labels.clamp_min(0)] * (labels >= 0).float()[:, None]
        teachers = self.source.teachers
        counts = torch.tensor(crops.frames, device=device)[:, None]
        return DistillationBatch(
            waves, lengths,
            tuple(
                teacher.taught(rows) for teacher, rows in zip(teachers, heard, strict=True)
            ),
            answers_of(teachers, [rows.sum(dim=1) / counts for rows in heard]),
            own.to(device), (labels >= 0).to(device),
            torch.from_numpy(self._allowed[picked]).to(device), partner, share,
        )  # fmt: skip

    def _draft(self, step: int) -> tuple[StepRandom, NDArray[np.int64], Crops]:
        """Random numbers of a step, clips, and crops of them."""
        random = StepRandom(self.recipe.seed, step, self.device)
        seconds, picked = random.pick(self.recipe, self._weights)
        frames = max(1, FRAMES.frame_count(round(seconds * SAMPLE_RATE)))
        return random, picked, self.source.crops(picked, frames, random.rng)


def answers_of(teachers: Sequence[Teacher], means: Sequence[Tensor]) -> Tensor | None:
    """Logits that the teachers give together: the mean of their log-probabilities.

    Args:
        teachers: those with labels all have the same.
        means: means of the rows of each, [batch, width].

    Returns:
        float32 [batch, labels]; None if no teacher gives answers.
    """
    with torch.no_grad():
        answers = [
            teacher.answers(mean).float().log_softmax(dim=-1)
            for teacher, mean in zip(teachers, means, strict=True)
            if teacher.labels
        ]
    return torch.stack(answers).mean(dim=0) if answers else None


def draw_weights(
    speech: Speech, unlabelled_share: float, corpus_power: float
) -> NDArray[np.float64]:
    """Probability of drawing each clip: float64 [clips], with a sum of 1.

    Labelled clips weigh as :meth:`~..finetune.speech.Speech.weights` says, unlabelled ones by
    their length.
    """
    labelled = speech.labels >= 0
    share = unlabelled_share if labelled.any() else 1.0
    if labelled.all():
        share = 0.0
    weights = np.zeros(len(speech))
    if labelled.any():
        weights[labelled] = (1 - share) * speech.subset(labelled).weights(corpus_power)
    lengths = np.array([len(wave) for wave in speech.waves], np.float64)
    if not labelled.all():
        weights[~labelled] = share * lengths[~labelled] / lengths[~labelled].sum()
    normalized: NDArray[np.float64] = weights / weights.sum()
    return normalized


def labels_of_corpora(speech: Speech, labels: int) -> NDArray[np.bool_]:
    """True for the labels that occur in the corpus of each clip: bool [clips, labels]."""
    corpora = speech.corpora
    allowed = np.zeros((len(speech), labels), bool)
    for corpus in np.unique(corpora):
        own = corpora == corpus
        found = np.unique(speech.labels[own & (speech.labels >= 0)])
        allowed[np.ix_(own, found)] = True
    return allowed
