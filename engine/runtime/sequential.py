"""A model that encodes one clip after the other, in the computer's own memory.

The front-end is local, so it runs over blocks that fit the processor's cache. The encoder is not:
it sees the whole clip, or, beyond ``Chunking.seconds``, chunks with context on both sides of which
the middle is kept, because attention costs the square of the length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..audio.types import Samples
from ..bundle.head import Head
from ..bundle.manifest import AudioContract
from .chunking import Chunking, chunks
from .denormals import denormals_as_zero
from .model import Frames, Logits, Model, with_head
from .session import Session, run_errors


@dataclass(frozen=True)
class SequentialModel(Model):
    """Both graphs of a variant, opened."""

    frontend: Session
    """waveform [batch, samples] → features [batch, frames, dim]."""
    encoder: Session
    """features, lengths → frames and, with a head, logits."""
    audio: AudioContract
    chunking: Chunking = field(default_factory=Chunking)
    head: Head = field(default_factory=Head)

    def pieces_of(self, clips: Sequence[Iterable[Samples]]) -> Iterator[tuple[int, Frames, Logits]]:
        """As :meth:`Model.pieces_of`."""
        sizes = map(self.audio.frames, (self.chunking.seconds, self.chunking.context))
        longest, context = sizes
        for number, blocks in enumerate(clips):
            for features, keep in chunks(self.features(blocks), longest, context):
                frames, logits = self.run(features)
                yield number, frames[keep], None if logits is None else logits[keep]

    def end_profiling(self) -> list[Path]:
        """As :meth:`Model.end_profiling`."""
        return [Path(session.end_profiling()) for session in (self.frontend, self.encoder)]

    def features(self, blocks: Iterable[Samples]) -> Iterator[NDArray[np.float32]]:
        """Run the front-end block by block: waveform → features, float32 [frames, dim] each."""
        step = self.audio.frames(self.chunking.block)
        needed = self.audio.sample_count(step)
        waveform = np.zeros(0, np.float32)
        for block in blocks:
            waveform = np.concatenate([waveform, block])
            start = 0
            while len(waveform) - start >= needed:
                yield self.local(waveform[start : start + needed])
                start += step * self.audio.hop
            waveform = waveform[start:]
        if self.audio.frame_count(len(waveform)):
            yield self.local(waveform)

    def local(self, waveform: Samples) -> NDArray[np.float32]:
        """Run the front-end once: float32 [samples] → float32 [frames, dim]."""
        return self._run(self.frontend, {"waveform": waveform[None]})[0]

    def run(self, features: NDArray[np.float32], count: int | None = None) -> tuple[Frames, Logits]:
        """Run the encoder once: features [frames, dim] → frames [frames, dim], and logits.

        Args:
            features: float32 [frames, dim].
            count: frames that are not padding, which come first; None if all are.
        """
        count = len(features) if count is None else count
        lengths = np.array([count], dtype=np.int64)
        frames, *logits = self._run(self.encoder, {"features": features[None], "lengths": lengths})
        return with_head(self.head, frames[:count], logits[0][:count] if logits else None)

    def _run(self, session: Session, feeds: dict[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Run a session with a batch of one."""
        with run_errors(next(iter(feeds.values())).shape), denormals_as_zero():
            return [output[0] for output in session.run(None, feeds)]
