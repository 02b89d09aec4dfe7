"""Other voices from one: the formants are moved, while pitch, pace and level stay."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...finetune.embeddings import padded

WINDOW = 512
"""Samples of a window of the spectrum, 32 ms."""
HOP = 128
ENVELOPE = 40
"""Cepstral coefficients of the envelope: up to 2.5 ms, below the period of most voices, so that
they hold the formants and not the harmonics."""
ROUNDS = 4
"""Times that the envelope is drawn nearer to the tops of the harmonics."""
STRONGEST = 5.0
"""Limit of the change of a magnitude, in nepers (43 dB): silence is not made loud."""


@torch.no_grad()
def with_formants_moved(
    waves: Sequence[NDArray[np.float32]], factors: Sequence[float]
) -> list[NDArray[np.float32]]:
    """Sounds as a longer or shorter throat would have made them.

    Args:
        waves: sound at 16 kHz, [samples], more than half a :data:`WINDOW`.
        factors: frequencies of each one's formants against what they were.

    Returns:
        float32 [samples] for each, of the same length and level.
    """
    batch, _ = padded(waves)
    window = torch.hann_window(WINDOW)
    spectrum = torch.stft(batch, WINDOW, HOP, window=window, return_complex=True)
    envelope = _envelope(spectrum)
    change = _stretched(envelope, torch.tensor(factors, dtype=torch.float32)) - envelope
    moved = torch.istft(
        spectrum * change.clamp(-STRONGEST, STRONGEST).exp(), WINDOW, HOP,
        window=window, length=batch.shape[1],
    )  # fmt: skip
    moved *= _level(batch) / (_level(moved) + 1e-9)
    return [new[: len(wave)] for new, wave in zip(moved.numpy(), waves, strict=True)]


def _envelope(spectrum: Tensor) -> Tensor:
    """Logarithm of the spectral envelope: [batch, frequencies, times].

    It is the smooth curve through the tops of the harmonics ("true envelope", Röbel and Rodet
    2005): whatever lies below the curve is raised to it, and the whole smoothed again.
    """
    magnitude = (spectrum.abs() + 1e-5).log()
    envelope = _smooth(magnitude)
    for _ in range(ROUNDS):
        envelope = _smooth(torch.maximum(magnitude, envelope))
    return envelope


def _smooth(magnitude: Tensor) -> Tensor:
    """The slow part along the frequencies, by the cepstrum."""
    cepstrum = torch.fft.irfft(magnitude, dim=1)
    cepstrum[:, ENVELOPE : 1 - ENVELOPE] = 0
    smooth: Tensor = torch.fft.rfft(cepstrum, dim=1).real
    return smooth


def _stretched(envelope: Tensor, factors: Tensor) -> Tensor:
    """The envelope along a frequency axis that is longer by a factor, [batch]."""
    last = envelope.shape[1] - 1
    place = (torch.arange(last + 1.0) / factors[:, None]).clamp(max=last)
    below = place.floor().long().clamp(max=last - 1)
    share = (place - below)[..., None]
    index = below[..., None].expand_as(envelope)
    return envelope.gather(1, index) * (1 - share) + envelope.gather(1, index + 1) * share


def _level(waves: Tensor) -> Tensor:
    """Root mean square of each sound, [batch, 1]."""
    return waves.square().mean(dim=1, keepdim=True).sqrt()
