"""The mel scale: frequencies spaced as ears hear them, and log-mel energies of frames."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from emotion2vec_edge.engine.audio.types import SAMPLE_RATE

MEL_CORNER = 700
"""Hz: the mel scale is about linear below and logarithmic above."""


def mel_spaced(low: float, high: float, count: int) -> Tensor:
    """Frequencies from ``low`` to ``high`` Hz, evenly spaced on the mel scale: float32 [count]."""
    first, last = (2595 * math.log10(1 + hertz / MEL_CORNER) for hertz in (low, high))
    hertz: Tensor = MEL_CORNER * (10 ** (torch.linspace(first, last, count) / 2595) - 1)
    return hertz


class LogMel:
    """Log-mel energies of exactly the samples in the receptive field of each frame."""

    bands = 40

    def __init__(self, window: int, hop: int) -> None:
        self.window, self.hop = window, hop
        self.size = 2 ** math.ceil(math.log2(window))
        self.taper = torch.hann_window(window)
        hertz = torch.linspace(0, SAMPLE_RATE / 2, self.size // 2 + 1)
        edges = mel_spaced(0, SAMPLE_RATE / 2, self.bands + 2)
        rise = (hertz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
        fall = (edges[2:, None] - hertz) / (edges[2:] - edges[1:-1])[:, None]
        self.filters = torch.minimum(rise, fall).clamp_min(0).T

    def __call__(self, waves: Tensor) -> Tensor:
        """float32 [batch, samples] → float32 [batch, frames, bands], about −1 to 1."""
        windows = waves.unfold(1, self.window, self.hop) * self.taper.to(waves.device)
        spectrum = torch.fft.rfft(windows, self.size)
        power = spectrum.abs().square() @ self.filters.to(waves.device)
        level: Tensor = ((power + 1e-3).log() - 1) / 4
        return level
