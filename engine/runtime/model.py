"""The ONNX Runtime sessions: one waveform → frame embeddings and frame logits, in one pass.

The front-end is local, so it runs over blocks that fit the processor's cache. The encoder is not:
it sees the whole clip, or, beyond ``Chunking.seconds``, chunks with context on both sides of which
the middle is kept, because attention costs the square of the length.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..audio.normalized import normalized
from ..audio.types import Samples
from ..bundle.head import Head
from ..bundle.manifest import GRAPHS, AudioContract
from ..errors import ProviderError
from .chunking import Chunking, chunks
from .denormals import denormals_as_zero
from .providers import Provider
from .session import SessionConfig, first_line, open_session

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class Model:
    """Both graphs of a variant, opened."""

    frontend: Any
    """Session: waveform [batch, samples] → features [batch, frames, dim]."""
    encoder: Any
    """Session: features, lengths → frames and, with a head, logits."""
    audio: AudioContract
    chunking: Chunking = field(default_factory=Chunking)
    head: Head = field(default_factory=Head)

    @classmethod
    def open(
        cls,
        graphs: Mapping[str, Path | bytes],
        audio: AudioContract,
        provider: Provider,
        running: SessionConfig,
        chunking: Chunking | None = None,
        head: Head | None = None,
    ) -> Self:
        """Open both graphs on a provider; raises as :func:`~.runtime.session.open_session`.

        Args:
            graphs: path or content of ``frontend`` and ``encoder``.
            audio: what the model hears.
            provider: the tier.
            running: threads and options.
            chunking: how long audio is cut; None takes the default.
            head: what makes logits of the frames; None takes the graph's own.
        """
        frontend, encoder = (
            open_session(graphs[name], provider, running.of_graph(name)) for name in GRAPHS
        )
        return cls(frontend, encoder, audio, chunking or Chunking(), head or Head())

    def pieces_of(
        self, clips: Sequence[Iterable[Samples]]
    ) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.float32] | None]]:
        """Run the model over several clips, in memory that does not grow with their lengths.

        Args:
            clips: of each what the model hears, in order, in blocks: float32 [samples], mono, at
                the model's rate, normalised where the model wants that; together at least one
                receptive field.

        Yields:
            number of the clip, frames float32 [frames, dim] and logits float32 [frames, labels]
            (None if no head) of one stretch after the other.
        """
        for number, blocks in enumerate(clips):
            for frames, logits in self._pieces(blocks):
                yield number, frames, logits

    def _pieces(
        self, blocks: Iterable[Samples]
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32] | None]]:
        for features, keep in self._chunks(self.features(blocks)):
            frames, logits = self.run(features)
            yield frames[keep], None if logits is None else logits[keep]

    def _chunks(
        self, blocks: Iterable[NDArray[np.float32]]
    ) -> Iterator[tuple[NDArray[np.float32], slice]]:
        """Cut a clip, in blocks of frames, as :attr:`chunking` says; see :func:`chunks`."""
        seconds = self.chunking.seconds, self.chunking.context
        return chunks(blocks, *map(self.audio.frames, seconds))

    def encode(self, samples: Samples) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Run the model over one clip that is in memory, and keep everything.

        Args:
            samples: float32 [samples], mono, at the model's rate, at least one receptive field.

        Returns:
            frames float32 [frames, dim] and logits float32 [frames, labels] (None if no head).
        """
        if self.audio.normalize:
            mean = float(samples.mean(dtype=np.float64))
            variance = float(np.square(samples - mean, dtype=np.float64).mean())
            samples = normalized(samples, mean, variance)
        _, frames, logits = zip(*self.pieces_of([[samples]]), strict=True)
        return np.concatenate(frames), None if logits[0] is None else np.concatenate(logits)

    def lengths(self) -> tuple[int, ...]:
        """Seconds of audio to encode once, so that all later ones are as fast as they can be."""
        return (1,)

    @property
    def batch_size(self) -> int:
        """Number of recordings that are encoded together by default, at most."""
        return 1

    def remark(self, seconds: float) -> str | None:  # noqa: ARG002
        """What should be said of how audio of this length is encoded, if anything."""
        return None

    def features(self, blocks: Iterable[Samples]) -> Iterator[NDArray[np.float32]]:
        """Run the front-end block by block: what the model hears → float32 [frames, dim]."""
        hop, least = self.audio.hop, self.audio.receptive_field
        step = self.audio.frames(self.chunking.block)
        needed = (step - 1) * hop + least
        waveform = np.zeros(0, np.float32)
        for block in blocks:
            waveform = np.concatenate([waveform, block])
            start = 0
            while len(waveform) - start >= needed:
                yield self.local(waveform[start : start + needed])
                start += step * hop
            waveform = waveform[start:]
        if len(waveform) >= least:
            yield self.local(waveform)

    def local(self, waveform: Samples) -> NDArray[np.float32]:
        """Run the front-end once: float32 [samples] → float32 [frames, dim]."""
        return self._run(self.frontend, {"waveform": waveform[None]})[0]

    def run(
        self, features: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Run the encoder once: features [frames, dim] → frames [frames, dim], and logits."""
        lengths = np.array([len(features)], dtype=np.int64)
        frames, *logits = self._run(self.encoder, {"features": features[None], "lengths": lengths})
        return frames, self.head(frames, logits[0] if logits else None)

    def _run(self, session: Any, feeds: dict[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """A batch of one."""
        with reported(next(iter(feeds.values())).shape), denormals_as_zero():
            return [output[0] for output in session.run(None, feeds)]


@contextlib.contextmanager
def reported(shape: tuple[int, ...]) -> Iterator[None]:
    """Turn what fails inside ONNX Runtime on an input of this shape into our error."""
    try:
        yield
    except Exception as error:  # its exceptions have no common base but Exception
        raise ProviderError(
            f"onnxruntime failed on an input of shape {list(shape)}: {first_line(error)}; if "
            "memory ran out, give shorter --chunk-seconds"
        ) from error


def noise(audio: AudioContract, seconds: float) -> Samples:
    """Sound to try a model with, the same at every call: float32 [samples]."""
    count = round(seconds * audio.sample_rate)
    return np.random.default_rng(0).standard_normal(count).astype(np.float32)
