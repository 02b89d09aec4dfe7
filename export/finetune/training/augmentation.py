"""What happens to training speech before the model hears it, and what the front-end should see.

Corpora differ in room, microphone, level and codec more than people differ in mood, and a network
learns the corpus before it learns the mood. Everything here makes those differences worthless: it
changes how a clip was recorded, hardly ever what was felt.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr
import torch
import torch.nn.functional as F  # noqa: N812 - the name that every torch user reads
from numpy.typing import NDArray
from torch import Tensor

from emotion2vec_edge.engine.audio.types import SAMPLE_RATE

from ...model.padding import normalized_batch


@dataclass(frozen=True)
class Augmentation:
    """How much of each; a share is the part of the clips that it happens to."""

    speed: tuple[float, float] = (0.85, 1.2)
    """Slowest and fastest resampling, which moves pitch and formants too: other speakers."""
    codec_share: float = 0.05
    """A lossy codec at a low bit rate, or telephone's 8-bit companding."""
    equalizer_db: float = 4.0
    """Standard deviation of the gain of each band of a random equalizer, another microphone."""
    band_share: float = 0.15
    """Low and high frequencies cut off, as by a telephone."""
    notch_share: float = 0.25
    """Up to two bands taken out."""
    reverb_share: float = 0.15
    noise_share: float = 0.3
    noise_db: tuple[float, float] = (3.0, 35.0)
    """Signal to noise ratio."""
    gain_db: float = 3.0
    """Slow changes of the level inside a clip."""
    other_share: float = 0.1
    """Another clip of the batch underneath; the label is shared out by loudness."""
    other_db: tuple[float, float] = (0.0, 15.0)


def resampled(samples: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Play faster by a factor: float32 [samples] → float32 [samples / factor]."""
    out: NDArray[np.float32] = soxr.resample(samples, SAMPLE_RATE * factor, SAMPLE_RATE, "LQ")
    return out


def coded(samples: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Through a lossy codec and back: float32 [samples], as long as before."""
    peak = float(np.abs(samples).max()) or 1.0
    if rng.random() < 0.3:  # G.711 µ-law
        companded = np.sign(samples) * np.log1p(255 * np.abs(samples) / peak) / math.log(256)
        companded = np.round(companded * 127) / 127
        return (np.sign(companded) * np.expm1(np.abs(companded) * math.log(256)) / 255).astype(
            np.float32
        )
    kind, subtype = (("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III"))[int(rng.integers(2))]
    file = io.BytesIO()
    level = float(rng.uniform(0.7, 1.0))
    with soundfile.SoundFile(
        file, "w", SAMPLE_RATE, 1, subtype, format=kind, compression_level=level
    ) as sound:
        sound.write(samples / peak * 0.9)
    file.seek(0)
    out, _ = soundfile.read(file, dtype="float32")
    return np.pad(out, (0, max(0, len(samples) - len(out))))[: len(samples)]


def augment(
    waves: Tensor, lengths: Tensor, settings: Augmentation, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Change a batch of clips.

    Args:
        waves: float32 [batch, samples], each normalised, zero beyond its length.
        lengths: int64 [batch].
        settings: how much.
        generator: where chance comes from.

    Returns:
        waves as before, changed and normalised anew; which clip of the batch lies underneath each,
        int64 [batch]; and its share of the sound, float32 [batch], 0 for most.
    """
    batch, samples = waves.shape

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(batch, *shape, generator=generator)

    def happens(share: float) -> Tensor:
        return (torch.rand(batch, 1, generator=generator) < share).float()

    def normal(*shape: int) -> Tensor:
        return torch.randn(batch, *shape, generator=generator)

    # A slow gain: a straight line between five levels.
    levels = F.interpolate(normal(1, 5), samples, mode="linear", align_corners=True)[:, 0]
    waves = waves * 10 ** (levels * settings.gain_db / 40)

    # Another clip underneath, before the room and the microphone, which both then share.
    partner = (torch.arange(batch) + 1) % batch
    ratio = 10 ** (-uniform(*settings.other_db, 1) / 20) * happens(settings.other_share)
    waves = waves + ratio * waves[partner]
    share = (ratio / (1 + ratio))[:, 0]

    size = 2 ** math.ceil(math.log2(samples + SAMPLE_RATE // 4))
    spectrum = torch.fft.rfft(waves, size)
    bins = spectrum.shape[1]
    # Everything is drawn on a mel-like axis, as ears and formants are.
    hertz = torch.linspace(0, SAMPLE_RATE / 2, bins)
    position = torch.log1p(hertz / 700) / math.log1p(SAMPLE_RATE / 2 / 700)  # 0 … 1

    tail = torch.arange(SAMPLE_RATE // 4) / SAMPLE_RATE
    decay = torch.exp(-6.9 * tail / uniform(0.1, 0.6, 1))
    room = decay * torch.randn(batch, len(tail), generator=generator)
    room = room / room.square().sum(dim=1, keepdim=True).sqrt()
    room = room * 10 ** (-uniform(0, 15, 1) / 20) * happens(settings.reverb_share)
    room[:, 0] += 1
    spectrum = spectrum * torch.fft.rfft(room, size)

    curve = F.interpolate(normal(1, 8), bins, mode="linear", align_corners=True)[:, 0]
    curve = torch.gather(curve, 1, (position * (bins - 1)).long().expand(batch, -1))
    curve = curve + 1.5 * normal(1) * (position - 0.5)
    gain_db = curve * settings.equalizer_db * uniform(0, 1, 1)
    low, high = uniform(60, 350, 1), uniform(2800, 7500, 1)
    outside = F.relu(1 - hertz / low) * 30 + F.relu(hertz / high - 1) * 150
    gain_db = gain_db - outside.clamp_max(40) * happens(settings.band_share)
    for _ in range(2):
        width, start = uniform(0.01, 0.12, 1), uniform(0, 0.95, 1)
        inside = ((position > start) & (position < start + width)).float()
        gain_db = gain_db - inside * uniform(10, 50, 1) * happens(settings.notch_share)
    spectrum = spectrum * 10 ** (gain_db / 20)

    noise = torch.complex(normal(bins), normal(bins)) * (hertz + 50) ** -uniform(0, 1.2, 1)
    power = spectrum.abs().square().mean(dim=1, keepdim=True)
    noise = noise * (power / noise.abs().square().mean(dim=1, keepdim=True)).sqrt()
    noise = noise * 10 ** (-uniform(*settings.noise_db, 1) / 20) * happens(settings.noise_share)
    waves = torch.fft.irfft(spectrum + noise, size)[:, :samples]
    return normalized_batch(waves, lengths), partner, share


def mel_spaced(low: float, high: float, count: int) -> Tensor:
    """Frequencies from ``low`` to ``high`` Hz, evenly spaced on the mel scale: float32 [count]."""
    first, last = (2595 * math.log10(1 + hertz / 700) for hertz in (low, high))
    hertz: Tensor = 700 * (10 ** (torch.linspace(first, last, count) / 2595) - 1)
    return hertz


class LogMel:
    """Log-mel energies of exactly the samples that each frame of the front-end hears."""

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
        windows = waves.unfold(1, self.window, self.hop) * self.taper
        power = torch.fft.rfft(windows, self.size).abs().square() @ self.filters
        level: Tensor = ((power + 1e-3).log() - 1) / 4
        return level
