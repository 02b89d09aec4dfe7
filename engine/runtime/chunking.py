"""How long audio is cut for the encoder."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..settings import CHUNK_SECONDS, CONTEXT_SECONDS, check_seconds

BLOCK_SECONDS = 1.0
"""Front-end block where nothing else is known."""


@dataclass(frozen=True)
class Chunking:
    """How long audio is cut for the encoder.

    Raises:
        OptionError: a chunk under a second, or a context that leaves less than half of it.
    """

    seconds: float = CHUNK_SECONDS
    """The longest stretch that the encoder sees at once."""
    context: float = CONTEXT_SECONDS
    """Seconds of context on each side of a chunk."""
    block: float = BLOCK_SECONDS
    """Seconds that the front-end is given at once."""

    def __post_init__(self) -> None:
        check_seconds("a chunk", self.seconds, 1)
        check_seconds("a context (up to a quarter of a chunk)", self.context, 0, self.seconds / 4)


def chunks(
    blocks: Iterable[NDArray[np.float32]], longest: int, context: int
) -> Iterator[tuple[NDArray[np.float32], slice]]:
    """Cut a clip into chunks that overlap: (what is encoded, which frames of it are kept).

    A clip of up to ``longest`` frames is one chunk. Of a longer one each chunk but the last few
    has that length too, and what the end leaves over is shared evenly, because a short last chunk
    would hear little.

    Args:
        blocks: float32 [frames, dim], in order.
        longest: frames of one chunk at most.
        context: frames that a chunk hears on either side of what is kept.
    """
    step = longest - 2 * context
    waiting: list[NDArray[np.float32]] = []
    start = kept = end = 0  # the first frame that waits, the next one to be kept, the last one

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
            # All but the last few are as long as the first: what was allocated for it serves all.
            yield cut(kept + step if kept else step + context)
    left = end - kept
    parts = 1 if end <= longest else math.ceil(left / step)
    for last in [kept + round((i + 1) * left / parts) for i in range(parts)]:
        yield cut(last)
