"""Batches for a student: it hears changed sound, and the teacher's rows are of the clean one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emotion2vec_edge.engine.audio.types import SAMPLE_RATE

from ..finetune.embeddings import padded
from ..finetune.speech import Speech
from ..finetune.training.augmentation import augment, coded, resampled
from ..finetune.training.batches import StepRandom
from ..model.padding import normalized_batch
from .cache import ClipAtSpeed, RowCache
from .recipe import DistillationRecipe
from .teachers.base import FRAMES, Teacher

MARGIN = 8
"""Samples that are taken beyond a crop before it is resampled, whose length is rounded."""


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


@dataclass(frozen=True)
class Lesson:
    """A teacher and its rows of all clips."""

    teacher: Teacher
    cache: RowCache


class DistillationBatches:
    """The batches of a distillation; each depends on the recipe's seed and its step alone."""

    def __init__(
        self, speech: Speech, checksums: Sequence[str], lessons: Sequence[Lesson],
        recipe: DistillationRecipe, labels: int, device: torch.device,
    ) -> None:  # fmt: skip
        """Prepare the batches.

        Args:
            speech: labelled and unlabelled clips.
            checksums: checksum of each clip.
            lessons: the teachers with their rows of every clip at every speed.
            recipe: the recipe.
            labels: number of labels.
            device: where the batches are made and used.
        """
        self.speech, self.checksums, self.lessons = speech, checksums, lessons
        self.recipe, self.labels, self.device = recipe, labels, device
        self._weights = draw_weights(speech, recipe.unlabelled_share, recipe.corpus_power)
        self._allowed = labels_of_corpora(speech, labels)

    def __getitem__(self, step: int) -> DistillationBatch:
        """The batch of a step; also seeds torch's generators for the dropout of this step."""
        recipe, device = self.recipe, self.device
        random = StepRandom(recipe.seed, step, device)
        seconds = random.crop_seconds(recipe)
        count = max(2, round(recipe.batch_seconds / seconds))
        frames = max(1, FRAMES.frame_count(round(seconds * SAMPLE_RATE)))
        picked = random.rng.choice(len(self.speech), count, p=self._weights)
        crops = [self._crop(int(index), frames, random.rng) for index in picked]
        waves, lengths = padded([crop.wave for crop in crops])
        waves, lengths = waves.to(device), lengths.to(device)
        waves = normalized_batch(waves, lengths)
        waves, partner, share = augment(waves, lengths, recipe.augmentation, random.generator)
        rows = [self._padded_rows([crop.rows[i] for crop in crops]) for i in range(self.teachers)]
        labels = torch.from_numpy(self.speech.labels[picked])
        own = torch.eye(self.labels)[labels.clamp_min(0)] * (labels >= 0).float()[:, None]
        return DistillationBatch(
            waves, lengths,
            tuple(
                lesson.teacher.taught(part) for lesson, part in zip(self.lessons, rows, strict=True)
            ),
            self._answers(rows, [len(crop.rows[0]) for crop in crops]),
            own.to(device), (labels >= 0).to(device),
            torch.from_numpy(self._allowed[picked]).to(device), partner, share,
        )  # fmt: skip

    @property
    def teachers(self) -> int:
        """Number of teachers."""
        return len(self.lessons)

    def _crop(self, index: int, frames: int, rng: np.random.Generator) -> _Crop:
        """A random part of a clip at one of the speeds, perhaps through a codec."""
        wave = self.speech.waves[index]
        speed = float(rng.choice(self.recipe.speeds))
        clip = ClipAtSpeed(self.checksums[index], speed)
        start = int(rng.integers(max(1, self.lessons[0].cache.frames(clip) - frames + 1)))
        size = FRAMES.sample_count(frames)
        first = round(start * FRAMES.hop * speed)
        part = wave[first : first + round(size * speed) + MARGIN] / 32768
        sound = part.astype(np.float32)
        crop = (sound if speed == 1 else resampled(sound, speed))[:size]
        end = start + FRAMES.frame_count(len(crop))
        rows = tuple(lesson.cache[clip][start:end] for lesson in self.lessons)
        crop = crop[: FRAMES.sample_count(len(rows[0]))]
        coding = rng.random() < self.recipe.augmentation.codec_share
        return _Crop(coded(crop, rng) if coding else crop, rows)

    def _padded_rows(self, rows: Sequence[NDArray[np.float16]]) -> Tensor:
        """Rows of one teacher: float32 [batch, frames, width], zero beyond a crop's frames."""
        tensors = [torch.from_numpy(np.asarray(part, np.float32)) for part in rows]
        return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True).to(self.device)

    def _answers(self, rows: Sequence[Tensor], frames: Sequence[int]) -> Tensor | None:
        counts = torch.tensor(frames, device=self.device)[:, None]
        means = [part.sum(dim=1) / counts for part in rows]
        return answers_of([lesson.teacher for lesson in self.lessons], means)


@dataclass(frozen=True)
class _Crop:
    wave: NDArray[np.float32]
    rows: tuple[NDArray[np.float16], ...]
    """Rows of each teacher, of the crop before the codec."""


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
