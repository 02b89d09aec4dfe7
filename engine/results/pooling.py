"""Pooling of one encoder pass over windows: pure numpy, no session.

The head is linear, so the mean of the frame logits over a window IS the logit of the window's mean
embedding: all windows of a clip come from one pass, at the cost of a cumulative sum. The frames of
a window that is pooled this way depend on the audio around it; those of a window that is encoded
alone do not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..bundle.manifest import AudioContract
from ..metrics import softmax
from ..settings import check_window

WINDOWS_AT_ONCE = 4096
"""Windows pooled in one step, which bounds the memory that a long timeline takes."""


def clip_scores(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores of a whole clip: [frames, labels] → float32 [labels]."""
    return softmax(logits.mean(axis=0, dtype=np.float64))


def clip_embedding(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Embedding of a whole clip, the mean over its frames: [frames, dim] → float32 [dim]."""
    mean: NDArray[np.float32] = frames.mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


def frame_centres(frames: int, audio: AudioContract) -> NDArray[np.float64]:
    """Centre of each frame's receptive field, in seconds: float64 [frames]."""
    samples = audio.hop * np.arange(frames) + audio.receptive_field / 2
    return samples / audio.sample_rate


def window_spans(
    seconds: float, window: float, hop: float, audio: AudioContract
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Starts and ends of the windows over a clip, in seconds: two float64 [windows].

    Windows start at multiples of ``hop`` as long as they fit; audio after the last one becomes one
    more, shorter window that ends with the clip. A clip shorter than a window is one window.

    Raises:
        OptionError: a window or hop that is out of range.
    """
    check_window(window, hop)
    frame = audio.hop / audio.sample_rate
    tolerance = 1e-6  # seconds: 10.0 − 0.1 is not 9.9 in binary
    count = max(0, int(np.floor((seconds - window) / hop + tolerance / hop)) + 1)
    starts: NDArray[np.float64] = hop * np.arange(count, dtype=np.float64)
    ends: NDArray[np.float64] = np.minimum(starts + window, seconds)
    covered = ends[-1] if count else 0.0
    if seconds - covered > frame:
        starts = np.append(starts, min(hop * count, max(covered, 0.0)) if count else 0.0)
        ends = np.append(ends, seconds)
    return starts, ends


def window_scores(
    logits: NDArray[np.float32],
    starts: NDArray[np.float64],
    ends: NDArray[np.float64],
    audio: AudioContract,
) -> NDArray[np.float32]:
    """Probabilities of each window: logits [frames, labels] → float32 [windows, labels].

    Arguments as :func:`pool_windows`, which runs on :data:`WINDOWS_AT_ONCE` windows at a time.
    """
    scores = np.empty((len(starts), logits.shape[1]), np.float32)
    for first in range(0, len(starts), WINDOWS_AT_ONCE):
        some = slice(first, first + WINDOWS_AT_ONCE)
        scores[some] = softmax(pool_windows(logits, starts[some], ends[some], audio))
    return scores


def pool_windows(
    values: NDArray[np.float32],
    starts: NDArray[np.float64],
    ends: NDArray[np.float64],
    audio: AudioContract,
) -> NDArray[np.float64]:
    """Mean of the frames whose centres lie in ``[start, end)`` of each window.

    Args:
        values: float32 [frames, n], logits or embeddings.
        starts: float64 [windows], seconds.
        ends: float64 [windows], seconds.
        audio: the rate and hop of the frames.

    Returns:
        float64 [windows, n]. A window without a centre takes the frame nearest to its middle.
    """
    centres = frame_centres(len(values), audio)
    tolerance = 1e-9
    first = np.searchsorted(centres, starts - tolerance)
    last = np.searchsorted(centres, ends - tolerance)
    empty = last <= first
    if empty.any():
        middle = (starts + ends)[empty] / 2
        right = np.clip(np.searchsorted(centres, middle), 1, len(centres) - 1)
        nearest = right - (middle - centres[right - 1] <= centres[right] - middle)
        first[empty] = np.maximum(nearest, 0)
        last[empty] = first[empty] + 1
    begin, end = first.min(), last.max()
    sums = np.concatenate(
        [np.zeros((1, values.shape[1])), np.cumsum(values[begin:end], axis=0, dtype=np.float64)]
    )
    pooled: NDArray[np.float64] = (sums[last - begin] - sums[first - begin]) / (last - first)[
        :, None
    ]
    return pooled
