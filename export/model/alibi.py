"""ALiBi: an attention bias that grows with the distance between two frames (Press et al. 2022).

The bias between frames i and j in head h is ``−|i − j| · slope_h · scale``, with one learned scale
for the model, for each head or for each layer. Extra tokens neither give nor get a bias.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F  # noqa: N812 - the name that every torch user reads
from torch import Tensor


def alibi_slopes(heads: int) -> list[float]:
    """Slope of each head, by the rule of the paper; also for head counts that are no power of 2."""
    power = 2 ** math.floor(math.log2(heads))
    start = 2 ** -(2 ** -(math.log2(power) - 3))
    slopes = [start ** (index + 1) for index in range(power)]
    if power < heads:
        slopes += alibi_slopes(2 * power)[0::2][: heads - power]
    return slopes


def negative_distances(frames: int, extra_tokens: int, device: torch.device) -> Tensor:
    """``−|i − j|`` between frames, 0 to and from the extra tokens: float32 [tokens, tokens]."""
    tokens = frames + extra_tokens
    position = torch.arange(tokens, device=device, dtype=torch.float32) - extra_tokens
    distance = -(position.unsqueeze(0) - position.unsqueeze(1)).abs()
    is_frame = (position >= 0).to(torch.float32)
    return distance * is_frame.unsqueeze(0) * is_frame.unsqueeze(1)


def alibi_biases(distances: Tensor, slopes: Tensor, scales: Tensor, heads: int) -> Iterator[Tensor]:
    """The attention bias of each scale.

    Args:
        distances: float32 [tokens, tokens], from :func:`negative_distances`.
        slopes: float32 [1, ALiBi heads, 1, 1].
        scales: float32 [scales, 1, 1 or ALiBi heads, 1, 1].
        heads: attention heads; those beyond the ALiBi heads get no bias.

    Yields:
        one float32 [1, heads, tokens, tokens] for each scale.
    """
    without_alibi = heads - slopes.shape[1]
    for index in range(len(scales)):
        scaled = slopes * scales[index]
        if without_alibi:
            scaled = F.pad(scaled, (0, 0, 0, 0, 0, without_alibi))
        yield scaled * distances
