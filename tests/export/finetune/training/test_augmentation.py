"""Random changes to training speech."""

import numpy as np
import pytest
import torch

from emotion2vec_edge.export.finetune.training import augmentation
from emotion2vec_edge.export.finetune.training.augmentation import (
    Augmentation,
    Draws,
    augment,
    coded,
    resampled,
)
from emotion2vec_edge.export.model.padding import normalized_batch


def test_augmentation_keeps_shape_length_and_normalisation(rng):
    lengths = torch.tensor([16_000, 9_000, 400])
    waves = torch.from_numpy(rng.standard_normal((3, 16_000)).astype(np.float32))
    waves = normalized_batch(waves, lengths)
    everything = Augmentation(
        band_share=1, notch_share=1, reverb_share=1, noise_share=1, other_share=1
    )
    out, partner, share = augment(waves, lengths, everything, torch.Generator().manual_seed(1))
    assert out.shape == waves.shape
    assert partner.tolist() == [1, 2, 0]
    assert ((share > 0.1) & (share <= 0.5)).all()
    for row, length in zip(out, lengths, strict=True):
        assert row[length:].abs().max() == 0 if length < 16_000 else True
        assert row[:length].mean().abs() < 1e-4
        assert row[:length].var(unbiased=False) == pytest.approx(1, abs=1e-3)
    again = augment(waves, lengths, everything, torch.Generator().manual_seed(1))[0]
    torch.testing.assert_close(out, again, rtol=0, atol=0)


def test_nothing_happens_where_nothing_is_asked_for(rng):
    lengths = torch.tensor([8_000, 8_000])
    waves = torch.from_numpy(rng.standard_normal((2, 8_000)).astype(np.float32))
    waves = normalized_batch(waves, lengths)
    nothing = Augmentation((1, 1), 0, 0, 0, 0, 0, 0, (10, 10), 0, 0)
    out, _, share = augment(waves, lengths, nothing, torch.Generator().manual_seed(1))
    torch.testing.assert_close(out, waves, atol=1e-4, rtol=0)
    assert share.tolist() == [0, 0]


def test_speed_and_codecs(rng):
    wave = np.sin(np.arange(16_000) * 0.2).astype(np.float32)
    assert len(resampled(wave, 1.25)) == pytest.approx(12_800, abs=2)
    for _ in range(6):
        out = coded(0.3 * wave, rng)
        assert out.shape == wave.shape
        assert out.dtype == np.float32
        assert 0.05 < np.abs(out[4000:12_000]).max() < 1.1


def test_the_most_compressed_codecs_are_made():
    """A drawn level next to 1 must not stop a training."""

    class Last:
        """Draws the last number of a range, and each codec in turn."""

        def __init__(self, kind):
            self.kind = kind

        def random(self):
            return 0.9

        def integers(self, _):
            return self.kind

        def uniform(self, _, high):
            return np.nextafter(high, 0)

    wave = 0.3 * np.sin(np.arange(16_000) * 0.2).astype(np.float32)
    for kind in (0, 1):
        assert coded(wave, Last(kind)).shape == wave.shape


def test_every_effect_follows_the_device(monkeypatch):
    """On the device ``meta`` a tensor that was made elsewhere cannot be used."""
    meta = torch.device("meta")

    class MetaDraws(Draws):
        def __init__(self, batch, generator):
            super().__init__(batch, generator)
            self.device = meta

    monkeypatch.setattr(augmentation, "Draws", MetaDraws)
    waves, lengths = torch.zeros(3, 8_000, device=meta), torch.zeros(3, device=meta)
    for out in augment(waves, lengths, Augmentation(), torch.Generator()):
        assert out.device == meta


def test_a_seed_gives_the_same_augmentation_as_ever():
    """The random numbers are drawn in one order, so trainings that were published can be repeated."""
    time = torch.arange(8_000) / 16_000
    waves = torch.stack([torch.sin(6.28 * 200 * time), torch.sin(6.28 * 310 * time)])
    lengths = torch.tensor([8_000, 6_000])
    everything = Augmentation(
        band_share=1, notch_share=1, reverb_share=1, noise_share=1, other_share=1
    )
    waves = normalized_batch(waves, lengths)
    out, _, share = augment(waves, lengths, everything, torch.Generator().manual_seed(1))
    expected = torch.tensor([[2.5031, 1.5349, 1.6240, 1.3526], [-0.8027, 0.3147, 1.7636, 0.0]])
    torch.testing.assert_close(out[:, 500::2_000], expected, atol=2e-3, rtol=0)
    torch.testing.assert_close(share, torch.tensor([0.3677, 0.4153]), atol=1e-3, rtol=0)
