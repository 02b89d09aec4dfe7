"""The encoder: features of a whole clip → contextual frames and their emotion logits."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812 - the name that every torch user reads
from torch import Tensor, nn

from .alibi import alibi_biases, alibi_slopes, negative_distances
from .config import ModelConfig
from .layers import Block, PositionalConv, block_norm
from .padding import within

MASKED = -1e4
"""Added to the attention scores of padding: its exp() is exactly 0, and float16 can hold it."""


class Encoder(nn.Module):
    """Positional encoding, extra tokens, transformer blocks and, if there is one, the head."""

    def __init__(self, config: ModelConfig, num_labels: int) -> None:
        super().__init__()
        dim = config.embed_dim
        self.config = config
        self.positional = PositionalConv(config)
        self.slopes: Tensor
        self.extra_tokens = nn.Parameter(torch.zeros(1, config.num_extra_tokens, dim))
        self.prenet_norm = None if config.layer_norm_first else block_norm(config)
        self.prenet = nn.ModuleList(Block(config) for _ in range(config.prenet_depth))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = block_norm(config) if config.layer_norm_first else None
        self.head = nn.Linear(dim, num_labels) if num_labels else None
        if config.use_alibi:
            layers = config.prenet_depth + config.depth if config.alibi_scale_per_layer else 1
            heads = config.num_alibi_heads if config.alibi_scale_per_head else 1
            self.alibi_scale = nn.Parameter(torch.ones(layers, 1, heads, 1, 1))
            slopes = torch.tensor(alibi_slopes(config.num_alibi_heads))
            self.register_buffer("slopes", slopes.view(1, -1, 1, 1), persistent=False)

    @property
    def every_block(self) -> list[Block]:
        """All blocks in order, those of the prenet first."""
        return [cast("Block", block) for block in (*self.prenet, *self.blocks)]

    def biases(self, frames: int, padding: Tensor) -> list[Tensor]:
        """The additive attention bias of each block.

        Args:
            frames: frames of the padded batch.
            padding: float32 [batch, 1, 1, tokens], :data:`MASKED` on padding and 0 elsewhere.

        Returns:
            float32 [batch, heads or 1, tokens or 1, tokens] for each block; the same tensor where
            the blocks share a scale.
        """
        config = self.config
        layers = config.prenet_depth + config.depth
        if not config.use_alibi:
            return [padding] * layers
        distances = negative_distances(frames, config.num_extra_tokens, padding.device)
        scales = self.alibi_scale.relu()
        alibi = alibi_biases(distances, self.slopes, scales, config.num_heads)
        biases = [bias + padding for bias in alibi]
        return biases if len(biases) == layers else biases * layers

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        """Encode clips, each as if it were alone.

        Args:
            features: float32 [batch, frames, dim], any values beyond a clip's length.
            lengths: int64 [batch], valid frames of each clip.

        Returns:
            frames float32 [batch, frames, dim], zero beyond a clip's length, and, where there is a
            head, logits float32 [batch, frames, labels].
        """
        x, biases, valid = self.begin(features, lengths)
        for block, bias in zip(self.every_block, biases, strict=True):
            x = block(x, bias)
        if self.norm is not None:
            x = self.norm(x)
        x = x[:, self.config.num_extra_tokens :] * valid
        return (x,) if self.head is None else (x, self.head(x))

    def begin(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, list[Tensor], Tensor]:
        """The input of the first block; arguments as those of :meth:`forward`.

        Returns:
            tokens float32 [batch, tokens, dim], the bias of each block as :meth:`biases` gives it,
            and float32 [batch, frames, 1], 1 on valid frames and 0 beyond.
        """
        frames, extra = features.shape[1], self.config.num_extra_tokens
        valid = within(lengths, frames).to(features.dtype)  # [batch, frames]
        padding = ((1 - F.pad(valid, (extra, 0), value=1.0)) * MASKED).unsqueeze(1).unsqueeze(1)
        valid = valid.unsqueeze(-1)

        x = features + self.positional(features, valid)
        if extra:
            tokens = self.extra_tokens.expand(features.shape[0], -1, -1)
            x = torch.cat([tokens, x], dim=1)
        biases = self.biases(frames, padding)
        if self.prenet_norm is not None:
            x = self.prenet_norm(x)
        return x, biases, valid
