"""The encoder of OpenAI's Whisper (Radford et al. 2022), under Hugging Face's tensor names."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - the name that every torch user reads
from torch import Tensor, nn

from emotion2vec_edge.engine.audio.types import SAMPLE_RATE

WINDOW, HOP = 400, 160
"""Samples of a window of the spectrum, and from one to the next."""
RANGE = 8.0
"""Powers of ten below the loudest value of a clip at which its spectrum is cut off."""
MASKED = -1e4
"""Attention score of what is no sound; its exp() is exactly 0."""


@dataclass(frozen=True)
class WhisperConfig:
    """Size of an encoder, with the field names of its ``config.json``."""

    d_model: int
    encoder_layers: int
    encoder_attention_heads: int
    encoder_ffn_dim: int
    num_mel_bins: int
    max_source_positions: int

    def as_dict(self) -> dict[str, int]:
        """The fields for ``config.json``."""
        return asdict(self)


def mel_filters(bands: int) -> Tensor:
    """Slaney's filters, each of unit area: float32 [bands, bins]."""
    bins = torch.linspace(0, SAMPLE_RATE / 2, WINDOW // 2 + 1, dtype=torch.float64)
    lowest, corner, step = 200 / 3, 1000.0, 6.4 ** (1 / 27)
    first = corner / lowest  # mel of the corner: linear below, logarithmic above
    top = first + math.log(SAMPLE_RATE / 2 / corner) / math.log(step)
    mel = torch.linspace(0, top, bands + 2, dtype=torch.float64)
    hertz = torch.where(mel < first, lowest * mel, corner * step ** (mel - first))
    rise = (bins - hertz[:-2, None]) / (hertz[1:-1] - hertz[:-2])[:, None]
    fall = (hertz[2:, None] - bins) / (hertz[2:] - hertz[1:-1])[:, None]
    filters = torch.minimum(rise, fall).clamp_min(0) * (2 / (hertz[2:] - hertz[:-2]))[:, None]
    return filters.float()


class LogMelSpectrum(nn.Module):
    """Whisper's input: float32 [batch, samples] → float32 [batch, bands, samples / 160]."""

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.taper: Tensor
        self.filters: Tensor
        self.register_buffer("taper", torch.hann_window(WINDOW), persistent=False)
        self.register_buffer("filters", mel_filters(bands), persistent=False)

    def forward(self, waves: Tensor) -> Tensor:
        """``waves``: a multiple of :data:`HOP` samples."""
        spectrum = torch.stft(waves, WINDOW, HOP, window=self.taper, return_complex=True)
        power = self.filters @ spectrum[..., :-1].abs().square()
        level = power.clamp_min(1e-10).log10()
        level = torch.maximum(level, level.amax(dim=(1, 2), keepdim=True) - RANGE)
        return (level + 4) / 4


class SelfAttention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(dim, dim)
        self.k_proj = nn.Linear(dim, dim, bias=False)
        self.v_proj = nn.Linear(dim, dim)
        self.out_proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """``x``: [batch, frames, dim]; ``mask``: bool [batch, 1, 1, frames], true on sound."""
        query, key, value = (
            project(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        if query.device.type == "cpu" and self.training:
            # torch's fused attention has a slow backward pass here: it took a third of a step.
            scores = (query @ key.transpose(-2, -1)) * query.shape[-1] ** -0.5
            heads = scores.masked_fill(~mask, MASKED).softmax(dim=-1).to(value.dtype) @ value
        else:
            heads = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        merged: Tensor = self.out_proj(heads.transpose(1, 2).flatten(2))
        return merged


class EncoderLayer(nn.Module):
    """One pre-norm transformer block."""

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        dim = config.d_model
        self.self_attn = SelfAttention(dim, config.encoder_attention_heads)
        self.self_attn_layer_norm = nn.LayerNorm(dim)
        self.fc1 = nn.Linear(dim, config.encoder_ffn_dim)
        self.fc2 = nn.Linear(config.encoder_ffn_dim, dim)
        self.final_layer_norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """As :meth:`SelfAttention.forward`."""
        x = x + self.self_attn(self.self_attn_layer_norm(x), mask)
        out: Tensor = x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))
        return out


class WhisperEncoder(nn.Module):
    """Log-mel spectrum → hidden states, 50 frames a second."""

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        dim = config.d_model
        self.config = config
        self.spectrum = LogMelSpectrum(config.num_mel_bins)
        self.conv1 = nn.Conv1d(config.num_mel_bins, dim, 3, padding=1)
        self.conv2 = nn.Conv1d(dim, dim, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(config.max_source_positions, dim)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.layer_norm = nn.LayerNorm(dim)

    def forward(self, waves: Tensor, valid: Tensor) -> list[Tensor]:
        """Hear clips.

        Args:
            waves: float32 [batch, samples], a multiple of 320 samples.
            valid: bool [batch, frames], true on the frames that attention may see.

        Returns:
            the input of the first layer and the output of each, the last one normalised: each
            [batch, frames, dim], with frame i centred at sample 320 · i.
        """
        with torch.autocast(waves.device.type, enabled=False):
            mel = self.spectrum(waves)
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2)
        x = x + self.embed_positions.weight[: x.shape[1]]
        states = [x]
        for layer in self.layers:
            states.append(layer(states[-1], valid[:, None, None, :]))
        states[-1] = self.layer_norm(states[-1])
        return states
