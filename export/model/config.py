"""The architecture of an emotion2vec model; nothing about base or large is known here."""

from __future__ import annotations

from dataclasses import dataclass

from emotion2vec_edge.engine.audio.types import SAMPLE_RATE


@dataclass(frozen=True)
class ConvLayer:
    """One layer of the front-end."""

    channels: int
    kernel: int
    stride: int


@dataclass(frozen=True)
class ModelConfig:
    """The architecture of one emotion2vec model, field names as in FunASR where it has one."""

    embed_dim: int
    num_heads: int
    mlp_ratio: float
    prenet_depth: int
    depth: int
    layer_norm_first: bool
    norm_eps: float
    norm_affine: bool
    normalize: bool
    """True if the whole clip is brought to zero mean and unit variance first."""
    conv_layers: tuple[ConvLayer, ...]
    conv_pos_width: int
    conv_pos_depth: int
    conv_pos_groups: int
    conv_pos_pre_ln: bool
    num_extra_tokens: int
    use_alibi: bool
    num_alibi_heads: int
    alibi_scale_per_layer: bool
    alibi_scale_per_head: bool

    @property
    def mlp_dim(self) -> int:
        """Width of the hidden layer of each block's MLP."""
        return int(self.embed_dim * self.mlp_ratio)

    @property
    def conv_pos_kernel(self) -> int:
        """Kernel of each positional convolution, in frames."""
        return max(3, self.conv_pos_width // self.conv_pos_depth)

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        hop = 1
        for layer in self.conv_layers:
            hop *= layer.stride
        return hop

    @property
    def receptive_field(self) -> int:
        """Samples that one frame depends on."""
        field, jump = 1, 1
        for layer in self.conv_layers:
            field += (layer.kernel - 1) * jump
            jump *= layer.stride
        return field

    @property
    def frontend_values(self) -> int:
        """Values that the widest layer of the front-end computes for each second of audio."""
        widest, rate = 0.0, float(SAMPLE_RATE)
        for layer in self.conv_layers:
            rate /= layer.stride
            widest = max(widest, layer.channels * rate)
        return round(widest)
