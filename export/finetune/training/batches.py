"""Training batches: random crops of random clips, changed at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emotion2vec_edge.engine.audio.types import SAMPLE_RATE

from ...model.padding import normalized_batch
from ..embeddings import padded
from ..speech import Speech
from .ahead import Ahead, spare_threads
from .augmentation import augment, coded, resampled
from .recipe import Recipe


@dataclass(frozen=True)
class Batch:
    """One batch."""

    waves: Tensor
    """float32 [batch, samples], each normalised, zero beyond its length."""
    lengths: Tensor
    """int64 [batch], samples."""
    targets: Tensor
    """float32 [batch, labels]: share of each label in the clip."""


class StepRandom:
    """The random numbers of one step, which depend on a seed and the step alone."""

    def __init__(self, seed: int, step: int, device: torch.device) -> None:
        self.rng = np.random.default_rng([seed, step])
        """Chooses clips and crops."""
        self.generator = torch.Generator(device).manual_seed(int(self.rng.integers(2**62)))
        """Randomness of the augmentation, on the device of the waves."""
        self._dropout_seed = int(self.rng.integers(2**62))

    def seed_dropout(self) -> None:
        """Seed torch's own generators, which the dropout of the step draws from."""
        torch.manual_seed(self._dropout_seed)

    def pick(self, recipe: Recipe, weights: NDArray[np.float64]) -> tuple[float, NDArray[np.int64]]:
        """Seconds of the crops of this step, short and long ones as often; and clips by weight."""
        shortest, longest = np.log(recipe.crop_seconds)
        seconds = float(np.exp(self.rng.uniform(shortest, longest)))
        count = max(2, round(recipe.batch_seconds / seconds))
        return seconds, self.rng.choice(len(weights), count, p=weights)


class Batches:
    """The batches of a training; each depends on the recipe's seed and its step alone."""

    def __init__(
        self, speech: Speech, recipe: Recipe, labels: int, device: torch.device | None = None
    ) -> None:
        self.speech, self.recipe, self.labels = speech, recipe, labels
        self.device = device or torch.device("cpu")
        self._weights = speech.weights()
        self._drafts = Ahead(self._draft, spare_threads(self.device))

    def __getitem__(self, step: int) -> Batch:
        """The batch of a step; also seeds torch's generators for the dropout of this step."""
        device = self.device
        random, picked, waves, lengths = self._drafts[step]
        random.seed_dropout()
        waves, lengths = waves.to(device), lengths.to(device)
        waves = normalized_batch(waves, lengths)
        waves, partner, share = augment(waves, lengths, self.recipe.augmentation, random.generator)
        own = torch.eye(self.labels)[torch.from_numpy(self.speech.labels[picked])].to(device)
        return Batch(waves, lengths, own + share[:, None] * (own[partner] - own))

    def _draft(self, step: int) -> tuple[StepRandom, NDArray[np.int64], Tensor, Tensor]:
        """Random numbers of a step, clips, and crops of them with their lengths, on the CPU."""
        recipe, speech = self.recipe, self.speech
        random = StepRandom(recipe.seed, step, self.device)
        seconds, picked = random.pick(recipe, self._weights)
        size = round(seconds * SAMPLE_RATE)
        crops = [self._crop(speech.waves[i], size, random.rng) for i in picked]
        return random, picked, *padded(crops)

    def _crop(
        self, wave: NDArray[np.int16], size: int, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """A random part of a clip, at a random speed and perhaps through a codec."""
        settings = self.recipe.augmentation
        factor = float(rng.uniform(*settings.speed))
        needed = round(size * factor)
        start = int(rng.integers(max(1, len(wave) - needed + 1)))
        part = (wave[start : start + needed] / 32768).astype(np.float32)
        crop = resampled(part, factor)[:size]
        return coded(crop, rng) if rng.random() < settings.codec_share else crop
