"""The crops of a step: the sound that the student hears, and the teacher's rows of it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...finetune.speech import Speech
from ...finetune.training.augmentation import coded
from ...model.padding import within
from ..recipe import DistillationRecipe
from ..teachers.base import FRAMES, Teacher
from .cache import ClipAtSpeed, RowCache
from .listening import at_speed, rows_of
from .voices import with_formants_moved

MARGIN = 8
"""Samples that are taken beyond a crop before it is resampled, whose length is rounded."""


@dataclass(frozen=True)
class Crops:
    """The crops of a step, each with a whole number of frames."""

    waves: tuple[NDArray[np.float32], ...]
    """The sound, perhaps through a codec, [samples]."""
    rows: Callable[[], tuple[Tensor, ...]]
    """Gives the rows of each teacher for the sound before the codec, on the teachers' device:
    float32 [batch, frames, width], zero beyond a crop's frames."""
    frames: tuple[int, ...]
    """Frames of each crop."""
    mixed: NDArray[np.bool_]
    """True for a crop that holds two clips, so that neither label is its own: bool [batch]."""


class CropSource(Protocol):
    """The crops of a training."""

    @property
    def teachers(self) -> Sequence[Teacher]:
        """The teachers whose rows the crops have."""

    def crops(self, picked: NDArray[np.int64], frames: int, rng: np.random.Generator) -> Crops:
        """Random parts of clips, made on the processor, in any thread.

        Args:
            picked: index of each clip.
            frames: frames of a crop; a shorter clip is taken whole.
            rng: the random numbers of the step.
        """


@dataclass(frozen=True)
class Lesson:
    """A teacher and its rows of all clips."""

    teacher: Teacher
    cache: RowCache


class CachedCrops:
    """Crops of clips that the teachers heard whole, once, at a few speeds."""

    def __init__(
        self, speech: Speech, checksums: Sequence[str], lessons: Sequence[Lesson],
        recipe: DistillationRecipe, device: torch.device,
    ) -> None:  # fmt: skip
        """Prepare the crops.

        Args:
            speech: the clips.
            checksums: checksum of each clip.
            lessons: the teachers with their rows of every clip at every speed.
            recipe: the recipe.
            device: device of the rows.
        """
        self.speech, self.checksums, self.lessons = speech, checksums, lessons
        self.recipe, self.device = recipe, device

    @property
    def teachers(self) -> Sequence[Teacher]:
        """See :class:`CropSource`."""
        return [lesson.teacher for lesson in self.lessons]

    def crops(self, picked: NDArray[np.int64], frames: int, rng: np.random.Generator) -> Crops:
        """See :meth:`CropSource.crops`."""
        parts = [self.crop(int(index), frames, rng) for index in picked]
        rows = [
            torch.nn.utils.rnn.pad_sequence(
                [torch.from_numpy(np.array(part.rows[i])) for part in parts], batch_first=True
            )
            for i in range(len(self.lessons))
        ]
        return Crops(
            tuple(part.wave for part in parts),
            lambda: tuple(teacher_rows.to(self.device).float() for teacher_rows in rows),
            tuple(len(part.rows[0]) for part in parts), np.zeros(len(parts), bool),
        )  # fmt: skip

    def crop(self, index: int, frames: int, rng: np.random.Generator) -> CachedCrop:
        """A random part of a clip at one of the speeds, perhaps through a codec."""
        wave = self.speech.waves[index]
        speed = float(rng.choice(self.recipe.speeds))
        clip = ClipAtSpeed(self.checksums[index], speed)
        start = int(rng.integers(max(1, self.lessons[0].cache.frames(clip) - frames + 1)))
        size = FRAMES.sample_count(frames)
        first = round(start * FRAMES.hop * speed)
        crop = at_speed(wave[first : first + round(size * speed) + MARGIN], speed)[:size]
        end = start + FRAMES.frame_count(len(crop))
        rows = tuple(lesson.cache[clip][start:end] for lesson in self.lessons)
        return CachedCrop(_coded(crop[: FRAMES.sample_count(len(rows[0]))], self.recipe, rng), rows)


@dataclass(frozen=True)
class CachedCrop:
    """A crop with the rows of each teacher, which are of the crop before the codec."""

    wave: NDArray[np.float32]
    rows: tuple[NDArray[np.float16], ...]


class LiveCrops:
    """Crops that the teachers hear as they are made: any speed, other voices, two clips in one.

    No two steps ask a teacher the same, so the student learns what the teacher makes of sound
    instead of what it said about some clips, and does better on voices that are in none of them.
    """

    def __init__(
        self, speech: Speech, teachers: Sequence[Teacher], recipe: DistillationRecipe,
        device: torch.device,
    ) -> None:  # fmt: skip
        """Prepare the crops.

        Args:
            speech: the clips.
            teachers: hear them.
            recipe: the recipe.
            device: where the teachers run.
        """
        self.speech, self.teachers, self.recipe = speech, teachers, recipe
        self.device = device

    def crops(self, picked: NDArray[np.int64], frames: int, rng: np.random.Generator) -> Crops:
        """See :meth:`CropSource.crops`."""
        waves = [self.crop(int(index), frames, rng) for index in picked]
        mixed = rng.random(len(waves)) < self.recipe.mixed_share
        for i in np.flatnonzero(mixed):
            other = self.crop(int(picked[rng.integers(len(picked))]), frames, rng)
            waves[i] = self._with(waves[i], other, rng)
        self._change_voices(waves, rng)
        counts = [FRAMES.frame_count(len(wave)) for wave in waves]
        coded_waves = tuple(_coded(wave, self.recipe, rng) for wave in waves)
        rows = functools.partial(self._rows, waves, counts)
        return Crops(coded_waves, rows, tuple(counts), mixed)

    def _rows(
        self, waves: Sequence[NDArray[np.float32]], counts: Sequence[int]
    ) -> tuple[Tensor, ...]:
        """The rows of each teacher, which hears the sounds now."""
        inside = within(torch.tensor(counts, device=self.device), max(counts))[..., None]
        return tuple(
            rows_of(teacher, waves, self.device, bfloat16=self.recipe.bfloat16)[:, : max(counts)]
            * inside
            for teacher in self.teachers
        )

    def crop(self, index: int, frames: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """A random part of a clip at a random speed: float32 [samples]."""
        wave, size = self.speech.waves[index], FRAMES.sample_count(frames)
        speed = float(np.exp(rng.uniform(*np.log(self.recipe.augmentation.speed))))
        needed = round(size * speed) + MARGIN
        start = int(rng.integers(max(1, len(wave) - needed + 1)))
        crop = at_speed(wave[start : start + needed], speed)
        least = FRAMES.receptive_field
        if len(crop) < least:
            crop = np.pad(crop, (0, least - len(crop)))
        return crop[: FRAMES.sample_count(min(frames, FRAMES.frame_count(len(crop))))]

    def _change_voices(self, waves: list[NDArray[np.float32]], rng: np.random.Generator) -> None:
        """Let some of the crops be of another voice, in place."""
        moved = np.flatnonzero(rng.random(len(waves)) < self.recipe.moved_share)
        if len(moved):
            least, greatest = np.log(self.recipe.moved_by)
            factors = np.exp(rng.uniform(least, greatest, len(moved)))
            new = with_formants_moved([waves[i] for i in moved], factors.tolist())
            for i, wave in zip(moved, new, strict=True):
                waves[i] = wave

    def _with(
        self, wave: NDArray[np.float32], other: NDArray[np.float32], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """The sound with a part of another clip in it, at a random place and level below it."""
        level = 10 ** (-float(rng.uniform(*self.recipe.mixed_db)) / 20)
        level *= float(np.sqrt(np.square(wave).mean() / (np.square(other).mean() + 1e-9)))
        size = min(len(wave), len(other))
        start = int(rng.integers(len(wave) - size + 1))
        both = wave.copy()
        both[start : start + size] += np.float32(level) * other[:size]
        return both


def _coded(
    wave: NDArray[np.float32], recipe: DistillationRecipe, rng: np.random.Generator
) -> NDArray[np.float32]:
    """The sound, for some crops through a codec."""
    return coded(wave, rng) if rng.random() < recipe.augmentation.codec_share else wave
