"""The project's torch module with torch's fused attention, on the processor or on a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion2vec_edge.engine.audio.types import Samples
from emotion2vec_edge.engine.errors import ProviderError

from .plain_graph import normalized
from .settings import BaselineSettings, Run
from .torch_eager import load_module


def build(settings: BaselineSettings) -> Run:
    """The module with fused attention; float16 on a GPU."""
    return _on_device(_fused(settings), settings)


def build_compiled(settings: BaselineSettings) -> Run:
    """The module with fused attention after ``torch.compile``."""
    import torch

    return _on_device(torch.compile(_fused(settings), dynamic=True), settings)


def _fused(settings: BaselineSettings) -> Any:
    """A module: normalised waveforms and their lengths → logits [clips, labels]."""
    from torch import Tensor, nn
    from torch.nn.functional import scaled_dot_product_attention

    from emotion2vec_edge.export.model.layers import Attention
    from emotion2vec_edge.export.model.padding import frame_counts

    class Fused(Attention):
        def forward(self, x: Tensor, bias: Tensor) -> Tensor:
            batch, tokens, dim = x.shape
            shape = (batch, tokens, 3, self.num_heads, dim // self.num_heads)
            q, k, v = self.qkv(x).reshape(shape).permute(2, 0, 3, 1, 4)
            heads = scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
            merged: Tensor = self.proj(heads.transpose(1, 2).reshape(batch, tokens, dim))
            return merged

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = load_module(settings)
            for module in self.model.modules():
                if isinstance(module, Attention):
                    module.__class__ = Fused

        def forward(self, waveform: Tensor, lengths: Tensor) -> Tensor:
            counts = frame_counts(lengths, self.model.config)
            frames = self.model.encoder(self.model.frontend(waveform), counts)[0]
            embedding = frames.sum(dim=1) / counts.unsqueeze(1).to(frames.dtype)
            logits: Tensor = self.model.encoder.head(embedding)
            return logits

    return Whole().eval().to(settings.torch_device, _dtype(settings))


def _on_device(model: Any, settings: BaselineSettings) -> Run:
    import torch

    if settings.torch_device != "cpu" and not torch.cuda.is_available():
        raise ProviderError(
            "this torch finds no GPU, so the baseline cannot run beside the engine; install a "
            "torch with CUDA or give --provider cpu"
        )
    torch.set_num_threads(settings.threads)
    device, dtype = settings.torch_device, _dtype(settings)

    def run(samples: Samples) -> NDArray[np.floating[Any]]:
        clips = np.atleast_2d(samples)
        waveform = torch.from_numpy(np.concatenate([normalized(clip) for clip in clips]))
        lengths = torch.full((len(clips),), clips.shape[1])
        with torch.inference_mode():
            logits = model(waveform.to(device, dtype), lengths.to(device))
            probabilities: NDArray[np.floating[Any]] = logits.float().softmax(-1).cpu().numpy()
        return probabilities if samples.ndim == 2 else probabilities[0]

    return run


def _dtype(settings: BaselineSettings) -> Any:
    import torch

    return torch.float32 if settings.torch_device == "cpu" else torch.float16
