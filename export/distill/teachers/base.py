"""The interface of a teacher."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod

from torch import Tensor

from emotion2vec_edge.engine.audio.types import SAMPLE_RATE
from emotion2vec_edge.engine.bundle.manifest import AudioContract, Label
from emotion2vec_edge.engine.errors import OptionError

FRAMES = AudioContract(sample_rate=SAMPLE_RATE, hop=320, receptive_field=400, normalize=True)
"""The frames of every emotion2vec, which those of a teacher and of a student must lie at."""
FRAMES_A_SECOND = FRAMES.sample_rate / FRAMES.hop


class Teacher(ABC):
    """A model that is heard frame by frame, 50 times a second.

    Each frame is a row of ``width`` numbers: first the taught layers, then whatever else the
    teacher needs for its answers.
    """

    name: str
    sha256: str
    """Checksum of the weights."""
    licence: str | None
    """Licence of the weights; None if it is not stated."""
    layers: int
    """Number of taught layers."""
    dim: int
    """Width of each layer."""
    labels: tuple[Label, ...]
    """Emotions in the order of the answers; none for a teacher without answers."""

    @property
    def width(self) -> int:
        """Numbers of a row."""
        return self.layers * self.dim

    @property
    def key(self) -> str:
        """Text that changes with anything that changes a row."""
        text = f"{self.sha256} {self.layers_text} {self.width}"
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def layers_text(self) -> str:
        """The taught layers, for people."""
        return "final frames"

    @property
    def description(self) -> str:
        """Name, layers, checksum and licence, for a card."""
        return (
            f"{self.name} ({self.layers_text}, sha256 {self.sha256[:16]}…), licence: "
            f"{self.licence or 'not stated'}"
        )

    def taught(self, rows: Tensor) -> Tensor:
        """The taught layers of rows: [..., width] → [..., layers, dim]."""
        return rows[..., : self.layers * self.dim].reshape(*rows.shape[:-1], self.layers, self.dim)

    @abstractmethod
    def rows(self, waves: Tensor, lengths: Tensor) -> Tensor:
        """Hear clips, each as if it were alone.

        Args:
            waves: float32 [batch, samples] at 16 kHz, of any level, any values beyond a length.
            lengths: int64 [batch], valid samples of each clip.

        Returns:
            float32 [batch, frames, width] with the frames of :data:`FRAMES`, any values beyond a
            clip's frames.
        """

    @abstractmethod
    def answers(self, means: Tensor) -> Tensor:
        """Logits of clips from the means of their rows: [batch, width] → [batch, labels]."""


def check_frames(name: str, audio: AudioContract) -> None:
    """Refuse a model whose frames lie elsewhere than those of emotion2vec.

    Raises:
        OptionError: another sample rate, hop or receptive field.
    """
    ours = (FRAMES.sample_rate, FRAMES.hop, FRAMES.receptive_field)
    if (audio.sample_rate, audio.hop, audio.receptive_field) != ours:
        raise OptionError(
            f"{name}: a frame of {audio.receptive_field} samples every {audio.hop} samples at "
            f"{audio.sample_rate} Hz; distillation needs frames of {FRAMES.receptive_field} "
            f"samples every {FRAMES.hop} at {FRAMES.sample_rate} Hz (50 a second) of teacher and "
            "student"
        )
