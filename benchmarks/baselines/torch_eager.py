"""The project's torch module, run eagerly."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion2vec_edge.engine.audio.types import Samples

from .settings import BaselineSettings, Run


def build(settings: BaselineSettings) -> Run:
    """The module in float32."""
    return _run_module(load_module(settings), settings)


def build_int8(settings: BaselineSettings) -> Run:
    """The module after torch's dynamic quantization of its Linear layers."""
    import torch

    quantize: Any = torch.ao.quantization.quantize_dynamic
    model = quantize(load_module(settings), {torch.nn.Linear}, dtype=torch.qint8)
    return _run_module(model, settings)


def load_module(settings: BaselineSettings) -> Any:
    """The checkpoint as a torch module, in evaluation mode."""
    from emotion2vec_edge.export.checkpoint.folder import load_checkpoint

    return load_checkpoint(settings.checkpoint).model.eval()


def _run_module(model: Any, settings: BaselineSettings) -> Run:
    import torch

    torch.set_num_threads(settings.threads)

    def run(samples: Samples) -> NDArray[np.floating[Any]]:
        with torch.inference_mode():
            outputs = model(torch.from_numpy(samples)[None], torch.tensor([len(samples)]))
        probabilities: NDArray[np.floating[Any]] = outputs[3][0].numpy()
        return probabilities

    return run
