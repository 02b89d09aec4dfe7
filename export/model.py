"""emotion2vec as a torch module that exports cleanly, faithful to FunASR's numbers.

Source: ``funasr/models/emotion2vec`` (MIT), itself from fairseq's data2vec 2.0. Differences are of
form only: ALiBi is computed from the length instead of kept in a cache, padding is masked so that
a batch equals its members alone, and the model is cut in two where it stops being local.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812 - the name that every torch user reads
from torch import Tensor, nn

from .config import ConvLayer, ModelConfig

MASKED = -1e4
"""Added to the attention score of padding: exp() of it is exactly 0, and float16 can hold it."""


class Gelu(nn.Module):
    """Exact GELU, in the order of operations that ONNX Runtime fuses into its own.

    The exporter's own decomposition, x · (0.5 · (1 + erf)), is one that it does not recognize.
    Training takes torch's own, which keeps one tensor for the way back instead of four.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        if self.training:
            return F.gelu(x)
        return x * (1.0 + torch.erf(x / math.sqrt(2.0))) * 0.5


class ConvBlock(nn.Module):
    """Convolution without bias → LayerNorm over the channels → GELU, channels last.

    The convolution is a matrix product over gathered windows: as fast as a convolution or faster in
    float32, without the transposes that LayerNorm would need, and open to INT8, which ONNX Runtime
    has no fast convolution for.
    """

    def __init__(self, channels_in: int, layer: ConvLayer) -> None:
        super().__init__()
        self.layer = layer
        self.conv = nn.Conv1d(channels_in, layer.channels, layer.kernel, layer.stride, bias=False)
        self.norm = nn.LayerNorm(layer.channels)
        self.gelu = Gelu()

    def forward(self, x: Tensor) -> Tensor:
        """``x``: [batch, time, channels_in] → [batch, (time − kernel) // stride + 1, channels]."""
        batch, time, channels = x.shape
        kernel, stride = self.layer.kernel, self.layer.stride
        count = (time - kernel) // stride + 1
        # A window is ``whole`` rows of ``stride`` samples, which a reshape gives, and a rest: the
        # end of rows that end where windows end.
        whole, rest = divmod(kernel, stride)
        pieces = []
        if whole:
            rows = x[:, : (count + whole - 1) * stride]
            rows = rows.reshape(batch, count + whole - 1, stride * channels)
            # Ends are counted from behind: the tracer cannot prove that i + count is in range.
            pieces = [rows[:, i : i + 1 - whole or None] for i in range(whole)]
        if whole and rest:
            first = kernel - stride
            rows = x[:, first : first + count * stride].reshape(batch, count, stride * channels)
            pieces.append(rows[:, :, (stride - rest) * channels :])
        elif rest:  # gaps between the windows
            last = stride * (count - 1) + 1
            pieces = [x[:, i : i + last : stride] for i in range(kernel)]
        windows = pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=-1)
        weight = self.conv.weight.permute(2, 1, 0).reshape(kernel * channels, -1)
        activated: Tensor = self.gelu(self.norm(windows @ weight))
        return activated


class Frontend(nn.Module):
    """Normalised waveform → features at 50 Hz. Local: a frame hears its receptive field alone."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        channels = [1, *(layer.channels for layer in config.conv_layers)]
        self.convs = nn.ModuleList(map(ConvBlock, channels, config.conv_layers))
        self.norm = nn.LayerNorm(channels[-1])
        self.project = nn.Linear(channels[-1], config.embed_dim)

    def forward(self, waveform: Tensor) -> Tensor:
        """``waveform``: float32 [batch, samples] → features float32 [batch, frames, dim]."""
        x = waveform.unsqueeze(-1)
        for conv in self.convs:
            x = conv(x)
        features: Tensor = self.project(self.norm(x))
        return features


class PlainLayerNorm(nn.Module):
    """LayerNorm without weights, written with constant ones and zeros.

    ONNX Runtime before 1.17 crashes on a LayerNormalization without its bias input
    (microsoft/onnxruntime#18967), so the export must have one.
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
    """One transformer block, post-norm or FunASR's kind of pre-norm."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        dim = config.embed_dim
        hidden = int(dim * config.mlp_ratio)
        self.layer_norm_first = config.layer_norm_first
        self.norm1 = _block_norm(config)
        self.attn = Attention(dim, config.num_heads)
        self.norm2 = _block_norm(config)
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
            # Not a slip: AltBlock takes the MLP's output as its residual too (modules.py).
            return 2 * self.mlp(self.norm2(x))
        x = self.norm1(x + self.drop(self.attn(x, bias)))
        out: Tensor = self.norm2(x + self.drop(self.mlp(x)))
        return out


class Encoder(nn.Module):
    """Features of a whole clip → contextual frames and their emotion logits."""

    def __init__(self, config: ModelConfig, num_labels: int) -> None:
        super().__init__()
        dim = config.embed_dim
        self.config = config
        self.positional = PositionalConv(config)
        self.slopes: Tensor
        self.extra_tokens = nn.Parameter(torch.zeros(1, config.num_extra_tokens, dim))
        self.prenet_norm = None if config.layer_norm_first else _block_norm(config)
        self.prenet = nn.ModuleList(Block(config) for _ in range(config.prenet_depth))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = _block_norm(config) if config.layer_norm_first else None
        self.head = nn.Linear(dim, num_labels) if num_labels else None
        if config.use_alibi:
            layers = config.prenet_depth + config.depth if config.alibi_scale_per_layer else 1
            heads = config.num_alibi_heads if config.alibi_scale_per_head else 1
            self.alibi_scale = nn.Parameter(torch.ones(layers, 1, heads, 1, 1))
            slopes = torch.tensor(alibi_slopes(config.num_alibi_heads))
            self.register_buffer("slopes", slopes.view(1, -1, 1, 1), persistent=False)

    def distances(self, frames: int, device: torch.device) -> Tensor:
        """ALiBi without slope and scale, 0 to and from the extra tokens: [tokens, tokens]."""
        extra = self.config.num_extra_tokens
        position = torch.arange(frames + extra, device=device, dtype=torch.float32) - extra
        distance = -(position.unsqueeze(0) - position.unsqueeze(1)).abs()
        is_frame = (position >= 0).to(torch.float32)
        return distance * is_frame.unsqueeze(0) * is_frame.unsqueeze(1)

    def biases(self, frames: int, padding: Tensor) -> list[Tensor]:
        """The additive attention bias of each block; the same tensor where they share a scale."""
        layers = self.config.prenet_depth + self.config.depth
        if not self.config.use_alibi:
            return [padding] * layers
        distances = self.distances(frames, padding.device)
        scales = self.alibi_scale.clamp_min(0)  # [1 or layers, 1, 1 or heads, 1, 1]
        missing = self.config.num_heads - self.config.num_alibi_heads
        biases = []
        for index in range(len(scales)):
            slopes = self.slopes * scales[index]
            if missing:  # heads beyond num_alibi_heads have no bias
                slopes = F.pad(slopes, (0, 0, 0, 0, 0, missing))
            biases.append(slopes * distances + padding)
        return biases if len(biases) == layers else biases * layers

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        """Encode clips, each as if it were alone.

        Args:
            features: float32 [batch, frames, dim], zero or anything beyond a clip's length.
            lengths: int64 [batch], valid frames of each clip.

        Returns:
            frames float32 [batch, frames, dim], zero beyond a clip's length, and, where there is a
            head, logits float32 [batch, frames, labels].
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
        for block, bias in zip([*self.prenet, *self.blocks], biases, strict=True):
            x = block(x, bias)
        if self.norm is not None:
            x = self.norm(x)
        x = x[:, extra:] * valid
        return (x,) if self.head is None else (x, self.head(x))


class Emotion2vec(nn.Module):
    """The whole model: front-end and encoder."""

    def __init__(self, config: ModelConfig, num_labels: int) -> None:
        super().__init__()
        self.config = config
        self.frontend = Frontend(config)
        self.encoder = Encoder(config, num_labels)

    def forward(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        """One graph for servers: clips as they are → frames, embedding, logits and probabilities.

        Args:
            waveform: float32 [batch, samples] at 16 kHz, not normalised, anything beyond a length.
            lengths: int64 [batch], valid samples of each clip.

        Returns:
            frames [batch, frames, dim], embedding [batch, dim] and, where there is a head,
            logits [batch, frames, labels] and probabilities [batch, labels] of the whole clip.
        """
        if self.config.normalize:
            waveform = normalized_batch(waveform, lengths)
        else:
            waveform = waveform * within(lengths, waveform.shape[1]).to(waveform.dtype)
        frame_lengths = frame_counts(lengths, self.config)
        encoded = self.encoder(self.frontend(waveform), frame_lengths)
        count = frame_lengths.unsqueeze(1).to(waveform.dtype)
        embedding = encoded[0].sum(dim=1) / count
        if self.encoder.head is None:
            return encoded[0], embedding
        return encoded[0], embedding, encoded[1], self.encoder.head(embedding).softmax(dim=-1)


def alibi_slopes(heads: int) -> list[float]:
    """The slope of each head (Press et al. 2022, with their rule for other than powers of 2)."""
    power = 2 ** math.floor(math.log2(heads))
    start = 2 ** -(2 ** -(math.log2(power) - 3))
    slopes = [start ** (index + 1) for index in range(power)]
    if power < heads:
        slopes += alibi_slopes(2 * power)[0::2][: heads - power]
    return slopes


def frame_counts(lengths: Tensor, config: ModelConfig) -> Tensor:
    """Frames of clips of so many samples: int64 [batch] → int64 [batch]."""
    frames = torch.div(lengths - config.receptive_field, config.hop, rounding_mode="floor")
    return frames + 1


def within(lengths: Tensor, size: int) -> Tensor:
    """Which of ``size`` places belong to each clip: int64 [batch] → bool [batch, size]."""
    index = torch.arange(size, device=lengths.device)
    return index.unsqueeze(0) < lengths.unsqueeze(1)


def normalized_batch(waveform: Tensor, lengths: Tensor) -> Tensor:
    """Each clip as :func:`normalized` alone: float32 [batch, samples], zero beyond its length.

    Args:
        waveform: float32 [batch, samples], anything beyond a length.
        lengths: int64 [batch].
    """
    valid = within(lengths, waveform.shape[1]).to(waveform.dtype)
    count = lengths.unsqueeze(1).to(waveform.dtype)
    waveform = waveform * valid
    mean = waveform.sum(dim=1, keepdim=True) / count
    centred = (waveform - mean) * valid
    variance = (centred * centred).sum(dim=1, keepdim=True) / count
    return centred * torch.rsqrt(variance + 1e-5)


def normalized(waveform: Tensor) -> Tensor:
    """``(x − mean) / sqrt(var + 1e-5)`` over the whole clip: float32 [samples]."""
    return F.layer_norm(waveform, waveform.shape)


def _block_norm(config: ModelConfig) -> nn.Module:
    if config.norm_affine:
        return nn.LayerNorm(config.embed_dim, config.norm_eps)
    return PlainLayerNorm(config.embed_dim, config.norm_eps)
