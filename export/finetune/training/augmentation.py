"""Random changes to training speech, so that a model does not learn the corpus instead of the mood.

Corpora differ in room, microphone, level and codec more than moods differ. Every effect here
changes how a clip was recorded and hardly ever the emotion in it, which makes those differences
worthless.
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
from .mel import MEL_CORNER

REVERB_SAMPLES = SAMPLE_RATE // 4
"""Length of a room's impulse response."""
MOST_COMPRESSED = 0.999
"""Compression level of the worst codec: LAME refuses what libsndfile rounds up to its last one."""


@dataclass(frozen=True)
class Augmentation:
    """Strength of each effect; a ``_share`` is the share of the clips that get it."""

    speed: tuple[float, float] = (0.85, 1.2)
    """Slowest and fastest resampling. It moves pitch and formants too, as another speaker would."""
    codec_share: float = 0.05
    """A lossy codec at a low bit rate, or the telephone's 8-bit companding."""
    equalizer_db: float = 4.0
    """Standard deviation of the gain of each band of a random equalizer: another microphone."""
    band_share: float = 0.15
    """Low and high frequencies cut off, as by a telephone."""
    notch_share: float = 0.25
    """Up to two frequency bands removed."""
    reverb_share: float = 0.15
    noise_share: float = 0.3
    noise_db: tuple[float, float] = (3.0, 35.0)
    """Signal to noise ratio."""
    gain_db: float = 3.0
    """Slow changes of the level inside a clip."""
    other_share: float = 0.1
    """Another clip of the batch mixed in; the label is shared out by loudness."""
    other_db: tuple[float, float] = (0.0, 15.0)
    """Level of the clip above the one that is mixed in."""


def resampled(samples: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Play faster by a factor: float32 [samples] → float32 [samples / factor]."""
    out: NDArray[np.float32] = soxr.resample(samples, SAMPLE_RATE * factor, SAMPLE_RATE, "LQ")
    return out


def coded(samples: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Encode and decode with a random lossy codec: float32 [samples], of the same length."""
    peak = float(np.abs(samples).max()) or 1.0
    if rng.random() < 0.3:
        return companded(samples, peak)
    kind, subtype = (("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III"))[int(rng.integers(2))]
    file = io.BytesIO()
    level = min(float(rng.uniform(0.7, 1.0)), MOST_COMPRESSED)
    with soundfile.SoundFile(
        file, "w", SAMPLE_RATE, 1, subtype, format=kind, compression_level=level
    ) as sound:
        sound.write(samples / peak * 0.9)
    file.seek(0)
    out, _ = soundfile.read(file, dtype="float32")
    return np.pad(out, (0, max(0, len(samples) - len(out))))[: len(samples)]


def companded(samples: NDArray[np.float32], peak: float) -> NDArray[np.float32]:
    """Round to the 8 bits of G.711 µ-law, relative to the peak: float32 [samples]."""
    law = np.sign(samples) * np.log1p(255 * np.abs(samples) / peak) / math.log(256)
    law = np.round(law * 127) / 127
    return (np.sign(law) * np.expm1(np.abs(law) * math.log(256)) / 255).astype(np.float32)


class Draws:
    """Random numbers for the clips of a batch.

    The effects draw in a fixed order from one generator, on its device, so a training can be
    repeated and resumed.
    """

    def __init__(self, batch: int, generator: torch.Generator) -> None:
        self.batch, self.generator, self.device = batch, generator, generator.device

    def uniform(self, low: float, high: float) -> Tensor:
        """float32 [batch, 1]."""
        return low + (high - low) * self._share()

    def happens(self, share: float) -> Tensor:
        """1 for about ``share`` of the clips, else 0: float32 [batch, 1]."""
        return (self._share() < share).float()

    def normal(self, *shape: int) -> Tensor:
        """Standard normal: float32 [batch, *shape]."""
        return torch.randn(self.batch, *shape, generator=self.generator, device=self.device)

    def curve(self, points: int, size: int) -> Tensor:
        """Straight lines between random points: float32 [batch, size]."""
        points_drawn = self.normal(1, points)
        return F.interpolate(points_drawn, size, mode="linear", align_corners=True)[:, 0]

    def _share(self) -> Tensor:
        return torch.rand(self.batch, 1, generator=self.generator, device=self.device)


def augment(
    waves: Tensor, lengths: Tensor, settings: Augmentation, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Change a batch of clips at random.

    Args:
        waves: float32 [batch, samples], each normalised, zero beyond its length.
        lengths: int64 [batch].
        settings: strength of each effect.
        generator: source of all random numbers, on the device of the waves.

    Returns:
        the changed waves, normalised again; the clip of the batch that is mixed into each,
        int64 [batch]; and its share of the sound, float32 [batch], 0 for most.
    """
    batch, samples = waves.shape
    draws = Draws(batch, generator)
    waves = _gain(waves, settings, draws)
    # Before the room and the microphone, which both clips then share.
    waves, partner, share = _mixed(waves, settings, draws)

    size = 2 ** math.ceil(math.log2(samples + REVERB_SAMPLES))
    spectrum = torch.fft.rfft(waves, size)
    hertz = torch.linspace(0, SAMPLE_RATE / 2, spectrum.shape[1], device=waves.device)
    spectrum = spectrum * torch.fft.rfft(_room(settings, draws), size)
    spectrum = spectrum * 10 ** (_filter_db(hertz, settings, draws) / 20)
    spectrum = spectrum + _noise(spectrum, hertz, settings, draws)
    waves = torch.fft.irfft(spectrum, size)[:, :samples]
    return normalized_batch(waves, lengths), partner, share


def _gain(waves: Tensor, settings: Augmentation, draws: Draws) -> Tensor:
    """Change the level slowly, along straight lines between five random levels."""
    levels = draws.curve(5, waves.shape[1])
    return waves * 10 ** (levels * settings.gain_db / 40)


def _mixed(waves: Tensor, settings: Augmentation, draws: Draws) -> tuple[Tensor, Tensor, Tensor]:
    """Mix the next clip of the batch into some clips; also returns its index and its share."""
    partner = (torch.arange(draws.batch, device=draws.device) + 1) % draws.batch
    ratio = 10 ** (-draws.uniform(*settings.other_db) / 20) * draws.happens(settings.other_share)
    return waves + ratio * waves[partner], partner, (ratio / (1 + ratio))[:, 0]


def _room(settings: Augmentation, draws: Draws) -> Tensor:
    """Impulse responses: the direct sound and, for some clips, a decaying tail of noise."""
    seconds = torch.arange(REVERB_SAMPLES, device=draws.device) / SAMPLE_RATE
    decay = torch.exp(-6.9 * seconds / draws.uniform(0.1, 0.6))  # −60 dB after 0.1 to 0.6 s
    tail = decay * draws.normal(REVERB_SAMPLES)
    tail = tail / tail.square().sum(dim=1, keepdim=True).sqrt()
    room = tail * 10 ** (-draws.uniform(0, 15) / 20) * draws.happens(settings.reverb_share)
    room[:, 0] += 1
    return room


def _filter_db(hertz: Tensor, settings: Augmentation, draws: Draws) -> Tensor:
    """Gain of each frequency in dB: equalizer, band limits and notches: float32 [batch, bins]."""
    # Drawn on a mel-like axis from 0 to 1, on which ears hear and formants lie.
    position = torch.log1p(hertz / MEL_CORNER) / math.log1p(SAMPLE_RATE / 2 / MEL_CORNER)
    gain_db = _equalizer_db(position, settings, draws)
    gain_db = gain_db - _outside_band_db(hertz, settings, draws)
    for _ in range(2):
        gain_db = gain_db - _notch_db(position, settings, draws)
    return gain_db


def _equalizer_db(position: Tensor, settings: Augmentation, draws: Draws) -> Tensor:
    """Gain of a random equalizer with eight bands and a tilt."""
    bins = len(position)
    curve = draws.curve(8, bins)
    curve = torch.gather(curve, 1, (position * (bins - 1)).long().expand(draws.batch, -1))
    curve = curve + 1.5 * draws.normal(1) * (position - 0.5)
    return curve * settings.equalizer_db * draws.uniform(0, 1)


def _outside_band_db(hertz: Tensor, settings: Augmentation, draws: Draws) -> Tensor:
    """Loss below a random low and above a random high frequency, for some clips."""
    low, high = draws.uniform(60, 350), draws.uniform(2800, 7500)
    outside = F.relu(1 - hertz / low) * 30 + F.relu(hertz / high - 1) * 150
    return outside.clamp_max(40) * draws.happens(settings.band_share)


def _notch_db(position: Tensor, settings: Augmentation, draws: Draws) -> Tensor:
    """Loss inside one random band, for some clips."""
    width, start = draws.uniform(0.01, 0.12), draws.uniform(0, 0.95)
    inside = ((position > start) & (position < start + width)).float()
    return inside * draws.uniform(10, 50) * draws.happens(settings.notch_share)


def _noise(spectrum: Tensor, hertz: Tensor, settings: Augmentation, draws: Draws) -> Tensor:
    """Spectrum of noise of a random colour at a random level, for some clips."""
    bins = len(hertz)
    white = torch.complex(draws.normal(bins), draws.normal(bins))
    noise = white * (hertz + 50) ** -draws.uniform(0, 1.2)
    power = spectrum.abs().square().mean(dim=1, keepdim=True)
    noise = noise * (power / noise.abs().square().mean(dim=1, keepdim=True)).sqrt()
    return (
        noise
        * 10 ** (-draws.uniform(*settings.noise_db) / 20)
        * draws.happens(settings.noise_share)
    )
