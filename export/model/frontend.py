"""The front-end: strided convolutions from the waveform to features at 50 Hz."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .config import ConvLayer, ModelConfig
from .layers import Gelu


class ConvBlock(nn.Module):
    """Convolution without bias → LayerNorm over the channels → GELU, channels last.

    The convolution is a matrix product over gathered windows: at least as fast as a convolution in
    float32, without the transposes that LayerNorm would need, and open to INT8, for which ONNX
    Runtime has no fast convolution.
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
        # A window consists of ``whole`` rows of ``stride`` samples, which a reshape gives, and of
        # ``rest`` samples: the end of the row that ends where the window ends.
        whole, rest = divmod(kernel, stride)
        pieces = []
        if whole:
            rows = x[:, : (count + whole - 1) * stride]
            rows = rows.reshape(batch, count + whole - 1, stride * channels)
            # Ends are counted from the back: the tracer cannot prove that i + count is in range.
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
    """Normalised waveform → features at 50 Hz; each frame depends on its receptive field alone."""

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
