"""Lengths of audio: overlapping chunks of long audio for the encoder, and buckets on a GPU."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..bundle.manifest import AudioContract
from ..settings import CHUNK_SECONDS, CONTEXT_SECONDS, check_seconds

BLOCK_SECONDS = 1.0
"""Seconds of one block of the front-end, by default."""

BUCKETS = (1, 2, 3, 4, 6, 8, 10, 15, 20, 30)
"""Seconds that clips are padded to; longer ones to whole tens."""

BATCH_SECONDS = 120
"""Seconds of audio in one batch at most, padding included: attention's memory grows with the
length."""


@dataclass(frozen=True)
class Chunking:
    """Lengths of chunks and blocks.

    Raises:
        OptionError: a chunk under a second, or a context that leaves less than half of it.
    """

    seconds: float = CHUNK_SECONDS
    """Seconds of the longest stretch that the encoder gets at once."""
    context: float = CONTEXT_SECONDS
    """Seconds of context on each side of a chunk."""
    block: float = BLOCK_SECONDS
    """Seconds of one block of the front-end."""

    def __post_init__(self) -> None:
        check_seconds("a chunk", self.seconds, 1)
        check_seconds("a context (up to a quarter of a chunk)", self.context, 0, self.seconds / 4)


def chunks(
    blocks: Iterable[NDArray[np.float32]], longest: int, context: int
) -> Iterator[tuple[NDArray[np.float32], slice]]:
    """Cut a clip into overlapping chunks.

    A clip of up to ``longest`` frames is one chunk. The chunks of a longer one have that length
    too, but for the last few, which share the rest evenly: a short last chunk would have little
    context.

    Args:
        blocks: consecutive blocks of the clip, float32 [frames, dim].
        longest: frames of one chunk at most.
        context: frames of context on each side of a chunk.

    Yields:
        float32 [frames, dim] of a chunk, and the frames of it that are kept.
    """
    step = longest - 2 * context
    waiting: list[NDArray[np.float32]] = []
    start = kept = end = 0  # first frame of ``waiting``, next frame to keep, end of ``waiting``

    def cut(last: int) -> tuple[NDArray[np.float32], slice]:
        nonlocal start, kept, waiting
        joined = np.concatenate(waiting)
        first = max(0, kept - context)
        chunk = joined[first - start : min(last + context, end) - start]
        keep = slice(kept - first, last - first)
        start, kept = max(start, last - context), last
        waiting = [joined[start - end :].copy()] if start < end else []
        return chunk, keep

    for block in blocks:
        waiting.append(block)
        end += len(block)
        while end - kept > max(longest, 2 * step + context):
            # Chunks of one length reuse the memory that was allocated for the first.
            yield cut(kept + step if kept else step + context)
    left = end - kept
    parts = 1 if end <= longest else math.ceil(left / step)
    for last in [kept + round((i + 1) * left / parts) for i in range(parts)]:
        yield cut(last)


def bucket(seconds: int) -> int:
    """The length in seconds that a clip is padded to."""
    return next((length for length in BUCKETS if seconds <= length), -(-seconds // 10) * 10)


def row_frames(audio: AudioContract) -> int:
    """Frames of one row of the front-end, which is a second of audio."""
    return audio.frames(BLOCK_SECONDS)


def row_samples(audio: AudioContract) -> int:
    """Samples of one row of the front-end, the ends of its last frame included."""
    return audio.sample_count(row_frames(audio))
