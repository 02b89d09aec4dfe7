"""Padded batches of clips: lengths, masks, and normalisation that ignores the padding."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the name that every torch user reads
from torch import Tensor

from .config import ModelConfig


def frame_counts(lengths: Tensor, config: ModelConfig) -> Tensor:
    """Frames of clips with these lengths in samples: int64 [batch] → int64 [batch]."""
    frames = torch.div(lengths - config.receptive_field, config.hop, rounding_mode="floor")
    return frames + 1


def within(lengths: Tensor, size: int) -> Tensor:
    """True for the positions inside each clip: int64 [batch] → bool [batch, size]."""
    index = torch.arange(size, device=lengths.device)
    return index.unsqueeze(0) < lengths.unsqueeze(1)


def normalized(waveform: Tensor) -> Tensor:
    """``(x − mean) / sqrt(var + 1e-5)`` over the whole clip: float32 [samples]."""
    return F.layer_norm(waveform, waveform.shape)


def normalized_batch(waveform: Tensor, lengths: Tensor) -> Tensor:
    """Normalise each clip over its own samples, as :func:`normalized` does one clip.

    Args:
        waveform: float32 [batch, samples], any values beyond a clip's length.
        lengths: int64 [batch], valid samples of each clip.

    Returns:
        float32 [batch, samples], zero beyond a clip's length.
    """
    valid = within(lengths, waveform.shape[1]).to(waveform.dtype)
    count = lengths.unsqueeze(1).to(waveform.dtype)
    waveform = waveform * valid
    mean = waveform.sum(dim=1, keepdim=True) / count
    centred = (waveform - mean) * valid
    variance = (centred * centred).sum(dim=1, keepdim=True) / count
    return centred * torch.rsqrt(variance + 1e-5)
