"""A tuned Whisper that teaches block by block, for a student that inherits its blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name that every torch user reads
from numpy.typing import NDArray
from torch import Tensor

from .base import FRAMES, Teacher
from .whisper import FIRST, WhisperTeacher

WINDOW_FRAMES = 199
"""Frames of a stretch of speech on which the teacher is measured, four seconds."""
WINDOWS = 240
"""Such stretches, at most."""
LAST = 50
"""Frames at the end of a stretch whose mean stands for all later places."""
BATCH = 16
"""Stretches that are heard at once."""


class BlockwiseWhisper(Teacher):
    """A Whisper with a head, whose rows are what every block gives.

    Whisper adds to each frame the place that it has in the clip, and half of what varies in its
    states is the place. The blocks of emotion2vec know the distance between frames alone, so they
    could never say the same. Therefore the mean state at each place is taken out: what remains can
    be said without knowing the place. The answers are the teacher's own.
    """

    def __init__(
        self, teacher: WhisperTeacher, speech: Sequence[NDArray[np.int16]], device: torch.device
    ) -> None:
        """Measure the teacher's states.

        Args:
            teacher: a Whisper with a head.
            speech: clips, int16 [samples] at 16 kHz.
            device: where it runs.
        """
        self.name, self.sha256, self.licence = teacher.name, teacher.sha256, teacher.licence
        self.model, self.labels = teacher.model, teacher.labels
        config = teacher.model.encoder.config
        self.layers, self.dim = config.encoder_layers, config.d_model
        windows = [batch.to(device) for batch in _windows(speech)]
        self.sample = windows[0]
        """Some of the stretches of speech, float32 [batch, samples]."""
        count = sum(len(batch) for batch in windows)
        sums = torch.zeros(self.layers + 1, WINDOW_FRAMES, self.dim, device=device)
        for batch in windows:
            sums += torch.stack(self.states(batch)).sum(dim=1)
        self.places = list(sums / count)
        """Mean of each state at each place, float32 [places, dim]."""
        # What the convolutions give does not depend on the place, so the place itself is known.
        positions = teacher.model.encoder.embed_positions.weight.detach()
        self.places[0] = positions[FIRST : FIRST + WINDOW_FRAMES].clone()

    @property
    def width(self) -> int:
        """Numbers of a row: the layers, and the mean of those that the head reads."""
        return (self.layers + 1) * self.dim

    @property
    def layers_text(self) -> str:
        """The taught layers, for people."""
        return f"all {self.layers} blocks without the place in the clip"

    def states(self, waves: Tensor) -> list[Tensor]:
        """States of clips of one length, float32 [batch, samples]; see ``WhisperModel.states``."""
        with torch.no_grad():
            lengths = torch.full((len(waves),), waves.shape[1], device=waves.device)
            return self.model.states(waves, lengths)

    def placeless(self, layer: int, state: Tensor) -> Tensor:
        """A state, [batch, frames, dim], without what depends on the place in the clip."""
        places = self.places[layer]
        frames = state.shape[1]
        if frames > len(places):
            rest = places[-LAST:].mean(dim=0).expand(frames - len(places), -1)
            places = torch.cat([places, rest])
        varying: Tensor = places[:frames] - self.places[layer].mean(dim=0)
        return state - varying

    def rows(self, waves: Tensor, lengths: Tensor) -> Tensor:
        """See :meth:`Teacher.rows`."""
        states = self.model.states(waves, lengths)
        taught = [self.placeless(layer, states[layer]) for layer in range(1, len(states))]
        normalized = F.layer_norm(torch.stack(taught, dim=2), (self.dim,)).flatten(2)
        return torch.cat([normalized, self.model.picked(states).mean(dim=2)], dim=-1)

    def answers(self, means: Tensor) -> Tensor:
        """See :meth:`Teacher.answers`."""
        return self.model.answers(means[:, None, -self.dim :])


def _windows(speech: Sequence[NDArray[np.int16]]) -> Iterator[Tensor]:
    """Stretches of the clips one behind another, so that no place is always that of an onset."""
    size = FRAMES.sample_count(WINDOW_FRAMES)
    order = np.random.default_rng(0).permutation(len(speech))
    picked: list[NDArray[np.int16]] = []
    while sum(map(len, picked)) < size:  # fewer than four seconds are heard again
        for index in order:
            picked.append(speech[index])
            if sum(map(len, picked)) >= size * WINDOWS:
                break
    sound = np.concatenate(picked)
    count = min(WINDOWS, len(sound) // size)
    stretches = torch.from_numpy(sound[: count * size].reshape(count, size) / np.float32(32768))
    yield from torch.split(stretches, BATCH)
