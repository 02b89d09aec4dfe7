"""A new small model: its architecture, and first weights that are a filterbank.

The front-end of emotion2vec, seven convolutions on the raw waveform, needs thousands of hours of
speech before its first layers become a filterbank. A small corpus has a few hours. So the first
layer of the small model starts as one: Gabor filters of 15 ms every 10 ms on the mel scale, which
training may change (25 ms would be too long for 20 ms frames). A second layer halves the rate.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import nn

from emotion2vec_edge.engine.audio.types import SAMPLE_RATE
from emotion2vec_edge.engine.errors import OptionError

from ...checkpoint.config import config_document, read_config
from ...checkpoint.folder import read_yaml
from ...model.emotion2vec import Emotion2vec
from .mel import mel_spaced

FILTERBANK = "[(384, 240, 160)] + [(256, 2, 2)]"

SHAPES: dict[str, dict[str, Any]] = {
    "tiny": {
        "embed_dim": 192, "heads": 4, "prenet_depth": 2, "depth": 4, "mlp_ratio": 2.0,
        "conv_spec": FILTERBANK,
    },
    "small": {
        "embed_dim": 256, "heads": 4, "prenet_depth": 2, "depth": 6, "mlp_ratio": 3.0,
        "conv_spec": FILTERBANK,
    },
    "medium": {
        "embed_dim": 384, "heads": 6, "prenet_depth": 2, "depth": 8, "mlp_ratio": 4.0,
        "conv_spec": FILTERBANK,
    },
    "wide": {
        "embed_dim": 512, "heads": 8, "prenet_depth": 2, "depth": 2, "mlp_ratio": 4.0,
        "conv_spec": "[(384, 240, 160)] + [(384, 2, 2)]",
    },
}  # fmt: skip
"""Architectures by name. The embedded model is ``wide``; it was ``tiny`` and ``small`` before."""

LEVEL_SCALE = 0.003
"""Norm of the first convolution's filters, about the root of its LayerNorm's epsilon.

The LayerNorm divides the level out of every frame, so the loudness of one syllable against the
next would be lost. With outputs this small its epsilon counts, and quiet stays quieter than loud.
"""

PHASES = 4
"""Filters at each frequency, a quarter period apart: GELU cuts the negative half off."""


def new_document(shape: str) -> dict[str, Any]:
    """The content of ``config.yaml`` for a named shape, or of the file at that path.

    Raises:
        OptionError: there is no such shape or file.
        CheckpointError: the file cannot be used.
    """
    if shape in SHAPES:
        return config_document(**SHAPES[shape])
    path = Path(shape)
    if not path.is_file():
        raise OptionError(
            f"{shape}: no such shape; give {', '.join(SHAPES)}, or the path of a config.yaml"
        )
    document: dict[str, Any] = read_yaml(path)
    read_config(document)
    return document


def new_model(document: dict[str, Any], labels: int, seed: int) -> Emotion2vec:
    """A model with random weights and, where its first layer is long enough, a filterbank."""
    torch.manual_seed(seed)
    model = Emotion2vec(read_config(document), labels)
    first: nn.Conv1d = model.frontend.convs[0].conv  # type: ignore[assignment]
    kernel = first.kernel_size[0]
    with torch.no_grad():
        if kernel >= SAMPLE_RATE // 200:  # 5 ms; a shorter filter holds no period of a voice
            first.weight.copy_(gabor_filters(first.out_channels, kernel))
        else:
            first.weight.div_(first.weight.flatten(1).norm(dim=1)[:, None, None])
        first.weight.mul_(LEVEL_SCALE)
    return model


def gabor_filters(count: int, taps: int) -> torch.Tensor:
    """Windowed cosines of unit norm, evenly spaced on the mel scale: float32 [count, 1, taps]."""
    bands = max(1, count // PHASES)
    hertz = mel_spaced(60, 0.475 * SAMPLE_RATE, bands + 2)
    time = (torch.arange(taps) - (taps - 1) / 2) / SAMPLE_RATE
    filters = []
    for index in range(count):
        band = min(index // PHASES, bands - 1)
        # Narrow bands would need longer windows than there are taps.
        width = max(float(hertz[band + 2] - hertz[band]), 4 * SAMPLE_RATE / taps)
        window = (0.5 + 0.5 * torch.cos(math.pi * time * width / 2)) * (time.abs() * width < 2)
        phase = (index % PHASES) * 2 * math.pi / PHASES
        values = window * torch.cos(2 * math.pi * hertz[band + 1] * time + phase)
        filters.append(values / values.norm().clamp_min(1e-6))
    return torch.stack(filters).unsqueeze(1)
