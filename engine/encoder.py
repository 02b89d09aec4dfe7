"""The ONNX Runtime sessions: one waveform → frame embeddings and frame logits, in one pass.

The front-end is local, so it runs over blocks that fit the processor's cache. The encoder is not:
it sees the whole clip, or, beyond ``CHUNK_SECONDS``, chunks with context on both sides of which the
middle is kept, because attention costs the square of the length.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .audio import Samples
from .bundle import GRAPHS, AudioContract
from .providers import Provider, open_session

BLOCK_SECONDS = 1.0
"""Front-end block; 0.5 to 2 s measured alike, and faster than the whole clip."""

CHUNK_SECONDS = 30.0
"""The longest stretch that the encoder sees at once."""

CONTEXT_SECONDS = 2.0
"""What a chunk hears beyond the part of it that is kept."""

NORM_EPSILON = 1e-5
"""As in FunASR's ``F.layer_norm`` of the waveform."""


@dataclass(frozen=True)
class Encoder:
    """Both graphs of a variant, opened."""

    frontend: Any
    """Session: waveform [batch, samples] → features [batch, frames, dim]."""
    encoder: Any
    """Session: features, lengths → frames and, with a head, logits."""
    audio: AudioContract

    @classmethod
    def open(
        cls,
        graphs: Mapping[str, Path | bytes],
        audio: AudioContract,
        provider: Provider,
        threads: int,
    ) -> Encoder:
        """Open both graphs on a provider; raises as :func:`~.providers.open_session`.

        Args:
            graphs: path or content of ``frontend`` and ``encoder``.
            audio: what the model hears.
            provider: the tier.
            threads: processors to use.
        """
        frontend, encoder = (open_session(graphs[name], provider, threads) for name in GRAPHS)
        return cls(frontend, encoder, audio)

    def encode(self, samples: Samples) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Run the model over one clip.

        Args:
            samples: float32 [samples], mono, at the model's rate, at least one receptive field.

        Returns:
            frames float32 [frames, dim] and logits float32 [frames, labels] (None if no head).
        """
        features = self.features(self.normalized(samples))
        parts = [
            [output[0, keep] for output in self._run(features[chunk])]
            for chunk, keep in _chunks(len(features), self._frames(CHUNK_SECONDS),
                                       self._frames(CONTEXT_SECONDS))
        ]  # fmt: skip
        outputs = [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
        return outputs[0], outputs[1] if len(outputs) > 1 else None

    def normalized(self, samples: Samples) -> Samples:
        """The clip at zero mean and unit variance, where the model wants that."""
        if not self.audio.normalize:
            return samples
        mean = samples.mean(dtype=np.float64)
        variance = np.square(samples - mean, dtype=np.float64).mean()
        scaled: Samples = ((samples - mean) / math.sqrt(variance + NORM_EPSILON)).astype(np.float32)
        return scaled

    def features(self, waveform: Samples) -> NDArray[np.float32]:
        """Run the front-end in blocks: normalised waveform → float32 [frames, dim]."""
        hop, field = self.audio.hop, self.audio.receptive_field
        frames = (len(waveform) - field) // hop + 1
        step = self._frames(BLOCK_SECONDS)
        blocks = []
        for first in range(0, frames, step):
            last = min(first + step, frames)
            block = waveform[first * hop : (last - 1) * hop + field]
            blocks.append(self.frontend.run(None, {"waveform": block[None]})[0][0])
        return np.concatenate(blocks)

    def _run(self, features: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        lengths = np.array([len(features)], dtype=np.int64)
        outputs: list[NDArray[np.float32]] = self.encoder.run(
            None, {"features": features[None], "lengths": lengths}
        )
        return outputs

    def _frames(self, seconds: float) -> int:
        return round(seconds * self.audio.sample_rate / self.audio.hop)


def _chunks(frames: int, longest: int, context: int) -> Iterator[tuple[slice, slice]]:
    """Cut a clip into even chunks: (frames that are encoded, which of those are kept)."""
    if frames <= longest:
        yield slice(0, frames), slice(0, frames)
        return
    count = math.ceil(frames / (longest - 2 * context))
    borders = [round(i * frames / count) for i in range(count + 1)]
    for first, last in itertools.pairwise(borders):
        start, end = max(0, first - context), min(frames, last + context)
        yield slice(start, end), slice(first - start, last - start)
