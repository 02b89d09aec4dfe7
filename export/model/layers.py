"""Layers of the front-end and of the encoder, written so that ONNX Runtime can fuse them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812 - the name that every torch user reads
from torch import Tensor, nn

from .config import ModelConfig

# The first erf() of a process picks MKL's kernel, and when two threads begin it at once, one of
# them may compute with errors of 4e-4. One number has one thread.
torch.erf(torch.zeros(1))


class Gelu(nn.Module):
    """Exact GELU, in the order of operations that ONNX Runtime fuses into its own.

    ONNX Runtime does not recognise the exporter's decomposition, x · (0.5 · (1 + erf)). Training
    uses torch's own, which keeps one tensor for the backward pass instead of four.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        if self.training:
            return F.gelu(x)
        return x * (1.0 + torch.erf(x / math.sqrt(2.0))) * 0.5


class PlainLayerNorm(nn.Module):
    """LayerNorm without learned weights, written with constant ones and zeros.

    ONNX Runtime before 1.17 crashes on a LayerNormalization without its bias input
    (microsoft/onnxruntime#18967), so the graph must contain one.
    """

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", torch.ones(dim), persistent=False)
        self.register_buffer("bias", torch.zeros(dim), persistent=False)
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """``x``: [..., dim], normalised over the last axis."""
        return F.layer_norm(x, (self.dim,), self.weight, self.bias, self.eps)  # type: ignore[arg-type]


class PositionalConv(nn.Module):
    """The relative positional encoding: grouped convolutions, each → LayerNorm → GELU."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        dim, kernel = config.embed_dim, config.conv_pos_kernel
        self.pre_norm = nn.LayerNorm(dim) if config.conv_pos_pre_ln else None
        self.convs = nn.ModuleList(
            nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=config.conv_pos_groups)
            for _ in range(config.conv_pos_depth)
        )
        self.norm = PlainLayerNorm(dim)
        self.gelu = Gelu()
        self.drop_last = kernel % 2 == 0  # "same" padding of an even kernel gives one frame more

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """``x``: [batch, frames, dim]; ``valid``: [batch, frames, 1], 1 on sound, 0 on padding."""
        if self.pre_norm is not None:
            x = self.pre_norm(x)
        for conv in self.convs:
            x = conv((x * valid).transpose(1, 2))
            if self.drop_last:
                x = x[:, :, :-1]
            x = self.gelu(self.norm(x.transpose(1, 2)))
        return x


class Attention(nn.Module):
    """Multi-head self-attention with an additive bias."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """``x``: [batch, tokens, dim]; ``bias``: broadcast to [batch, heads, tokens, tokens]."""
        batch, tokens, dim = x.shape
        head_dim = dim // self.num_heads
        q, k, v = (
            part.reshape(batch, tokens, self.num_heads, head_dim).transpose(1, 2)
            for part in self.qkv(x).chunk(3, dim=-1)
        )
        scores = (q * head_dim**-0.5) @ k.transpose(-2, -1) + bias
        heads = scores.softmax(dim=-1) @ v
        merged: Tensor = self.proj(heads.transpose(1, 2).reshape(batch, tokens, dim))
        return merged


class Block(nn.Module):
    """One transformer block, post-norm or FunASR's variant of pre-norm."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        dim, hidden = config.embed_dim, config.mlp_dim
        self.layer_norm_first = config.layer_norm_first
        self.norm1 = block_norm(config)
        self.attn = Attention(dim, config.num_heads)
        self.norm2 = block_norm(config)
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)
        self.gelu = Gelu()
        self.drop: nn.Module = nn.Identity()  # training puts dropout here

    def mlp(self, x: Tensor) -> Tensor:
        """``x``: [..., dim] → [..., dim]."""
        out: Tensor = self.fc2(self.gelu(self.fc1(x)))
        return out

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """``x``: [batch, tokens, dim]."""
        if self.layer_norm_first:
            x = x + self.drop(self.attn(self.norm1(x), bias))
            # FunASR's AltBlock adds the MLP's output to itself instead of to x (modules.py).
            return 2 * self.mlp(self.norm2(x))
        x = self.norm1(x + self.drop(self.attn(x, bias)))
        out: Tensor = self.norm2(x + self.drop(self.mlp(x)))
        return out


def block_norm(config: ModelConfig) -> nn.Module:
    """The LayerNorm of the transformer blocks, with or without learned weights."""
    if config.norm_affine:
        return nn.LayerNorm(config.embed_dim, config.norm_eps)
    return PlainLayerNorm(config.embed_dim, config.norm_eps)
