"""The interface of an opened model: waveforms → frame embeddings and frame logits, in one pass.

Providers open one of its implementations: :class:`~.sequential.SequentialModel`,
:class:`~.batched.BatchedModel`, or a :class:`FallbackModel` of two of them.
"""

from __future__ import annotations

import itertools
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..audio.normalized import normalized
from ..audio.types import Samples
from ..bundle.bundle import Bundle
from ..bundle.head import Head
from ..bundle.manifest import AudioContract
from ..errors import NonFiniteError
from ..settings import Precision
from .chunking import Chunking

Frames: TypeAlias = NDArray[np.float32]
"""Frame embeddings, float32 [frames, dim]."""
Logits: TypeAlias = "NDArray[np.float32] | None"
"""Frame logits, float32 [frames, labels]; None for a model without a head."""


@dataclass(frozen=True)
class SelectedVariant:
    """One variant of a bundle, and the settings of the passes through it."""

    bundle: Bundle
    precision: Precision
    chunking: Chunking
    head: Head

    @property
    def audio(self) -> AudioContract:
        """The audio that the model takes."""
        return self.bundle.manifest.audio

    @property
    def graphs(self) -> dict[str, Path]:
        """Paths of both graphs, by ``frontend`` and ``encoder``."""
        return self.bundle.graphs(self.precision)


class Model(ABC):
    """An opened model. It may be used from several threads at once."""

    audio: AudioContract
    """The audio that it takes."""
    chunking: Chunking
    """Division of long audio for the encoder."""
    head: Head
    """Turns the encoder's outputs into logits."""
    batch_size: int = 1
    """Recordings that are encoded together by default, at most."""

    @abstractmethod
    def pieces_of(self, clips: Sequence[Iterable[Samples]]) -> Iterator[tuple[int, Frames, Logits]]:
        """Run the model over several clips, in memory that does not grow with their lengths.

        Args:
            clips: waveform of each clip as consecutive blocks, float32 [samples], mono, at the
                model's rate, normalised where the model wants that; at least one receptive field.

        Yields:
            number of a clip, and frames and logits of its next stretch.

        Raises:
            NonFiniteError: the model gave NaN or infinite values.
            ProviderError: ONNX Runtime failed.
        """

    def encode(self, samples: Samples) -> tuple[Frames, Logits]:
        """Run the model over one clip that is in memory; errors as :meth:`pieces_of`.

        Args:
            samples: float32 [samples], mono, at the model's rate, at least one receptive field;
                not normalised.
        """
        _, frames, logits = zip(*self.pieces_of([[self.waveform(samples)]]), strict=True)
        return np.concatenate(frames), None if logits[0] is None else np.concatenate(logits)

    def waveform(self, samples: Samples) -> Samples:
        """A clip as the front-end takes it: normalised where the model wants that.

        Args:
            samples: float32 [samples], not normalised.
        """
        if not self.audio.normalize:
            return samples
        mean = float(samples.mean(dtype=np.float64))
        variance = float(np.square(samples - mean, dtype=np.float64).mean())
        return normalized(samples, mean, variance)

    def warm_up(self) -> list[tuple[int, float, float]]:
        """Encode noise of each of :meth:`lengths` twice.

        Returns:
            seconds of audio, and seconds that the first and the second time took.
        """
        times = []
        for seconds in self.lengths():
            heard = noise(self.audio, seconds)
            started = time.perf_counter()
            self.encode(heard)
            again = time.perf_counter()
            self.encode(heard)
            times.append((seconds, again - started, time.perf_counter() - again))
        return times

    @abstractmethod
    def end_profiling(self) -> list[Path]:
        """End the profiles of sessions that were opened with them; one file for each graph."""

    def lengths(self) -> tuple[int, ...]:
        """Lengths in seconds of audio whose first pass is slow, and whose later ones are not."""
        return (1,)

    def remark(self, seconds: float) -> str | None:  # noqa: ARG002
        """Warning about how audio of this length is encoded, if there is any."""
        return None


class FallbackModel(Model):
    """A model for clips up to some length, and another one for longer clips.

    Args:
        primary: encodes clips of up to ``longest`` seconds.
        beyond: encodes longer clips.
        longest: seconds.
        message: warning for the clips that ``beyond`` encoded.
    """

    def __init__(self, primary: Model, beyond: Model, longest: float, message: str) -> None:
        self.audio, self.chunking, self.head = primary.audio, primary.chunking, primary.head
        self.batch_size = primary.batch_size
        self.primary = primary
        self.beyond = beyond
        self.longest = longest
        self.message = message

    def pieces_of(self, clips: Sequence[Iterable[Samples]]) -> Iterator[tuple[int, Frames, Logits]]:
        """As :meth:`Model.pieces_of`; up to ``longest`` seconds of each clip are held in memory."""
        short: list[tuple[int, Iterable[Samples]]] = []
        long: list[tuple[int, Iterable[Samples]]] = []
        for number, clip in enumerate(clips):
            blocks, is_long = self._opened(clip)
            (long if is_long else short).append((number, blocks))
        for model, own in ((self.primary, short), (self.beyond, long)):
            for index, frames, logits in model.pieces_of([blocks for _, blocks in own]):
                yield own[index][0], frames, logits

    def end_profiling(self) -> list[Path]:
        """Profiles of the primary model; see :meth:`Model.end_profiling`."""
        return self.primary.end_profiling()

    def lengths(self) -> tuple[int, ...]:
        """Lengths of the primary model; see :meth:`Model.lengths`."""
        return self.primary.lengths()

    def remark(self, seconds: float) -> str | None:
        """Warning, if the fallback model encodes audio of this length."""
        return self.message if seconds > self.longest else self.primary.remark(seconds)

    def _opened(self, clip: Iterable[Samples]) -> tuple[Iterable[Samples], bool]:
        """The blocks of a clip, and True if it is longer than ``longest``."""
        blocks, held, count = iter(clip), [], 0
        for block in blocks:
            held.append(block)
            count += len(block)
            if count > self.longest * self.audio.sample_rate:
                return itertools.chain(held, blocks), True
        return held, False


def with_head(head: Head, frames: Frames, logits: Logits) -> tuple[Frames, Logits]:
    """Apply the head to the encoder's outputs for one clip: the door that every answer passes.

    Args:
        head: makes the logits.
        frames: float32 [frames, dim].
        logits: float32 [frames, labels] of the graph's own head, if it has one.

    Raises:
        NonFiniteError: a value is NaN or infinite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        logits = head(frames, logits)
    for values, name in ((frames, "embeddings"), (logits, "logits")):
        if values is not None and not np.isfinite(values).all():
            raise NonFiniteError(
                f"the model gave NaN or infinite {name}: its weights or temperature are damaged, "
                "or too large for this precision; take --precision fp32, or export it again"
            )
    return frames, logits


def noise(audio: AudioContract, seconds: float) -> Samples:
    """White noise to run a model with, the same at every call: float32 [samples]."""
    count = round(seconds * audio.sample_rate)
    return np.random.default_rng(0).standard_normal(count).astype(np.float32)
