"""The ONNX graph that a user would export without this project: one graph, with convolutions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion2vec_edge.engine.audio.types import SAMPLE_RATE, Samples

from .settings import BaselineSettings
from .torch_eager import load_module


def plain_graph(settings: BaselineSettings) -> Path:
    """Path of the graph: ``waveform`` float32 [1, samples], normalised → ``logits`` [1, labels]."""
    import onnx
    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F  # noqa: N812 - torch's own custom

    path = settings.folder / "plain.onnx"
    if path.is_file():
        return path

    class Plain(nn.Module):
        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = model

        def forward(self, waveform: Tensor) -> Tensor:
            x = waveform.unsqueeze(1)
            for block in self.model.frontend.convs:
                x = block.conv(x).transpose(1, 2)
                x = F.gelu(block.norm(x)).transpose(1, 2)
            x = self.model.frontend.project(self.model.frontend.norm(x.transpose(1, 2)))
            lengths = torch.full((x.shape[0],), 1, dtype=torch.int64) * x.shape[1]
            logits: Tensor = self.model.encoder(x, lengths)[1]
            return logits

    program = torch.onnx.export(
        Plain(load_module(settings)).eval(),
        kwargs={"waveform": torch.zeros(1, 4 * SAMPLE_RATE)},
        input_names=["waveform"],
        output_names=["logits"],
        opset_version=18,
        dynamo=True,
        verbose=False,
        dynamic_shapes={"waveform": {1: torch.export.Dim.DYNAMIC}},
    )
    onnx.save_model(program.model_proto, path)  # type: ignore[union-attr]
    return path


def normalized(samples: Samples) -> NDArray[np.float32]:
    """float32 [samples] → float32 [1, samples] of mean 0 and variance 1."""
    scaled: NDArray[np.float32] = (
        (samples - samples.mean()) / np.sqrt(samples.var() + 1e-5)
    ).astype(np.float32)
    return scaled[None]
