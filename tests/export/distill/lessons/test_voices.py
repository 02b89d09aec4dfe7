"""Other voices from one."""

import numpy as np
import pytest

from emotion2vec_edge.export.distill.lessons.voices import with_formants_moved

RATE = 16_000
PITCH, FORMANT = 125, 1000


def vowel(seconds=0.5):
    """Pulses through one resonance."""
    size = int(seconds * RATE)
    pulses = np.zeros(size)
    pulses[:: RATE // PITCH] = 1
    time = np.arange(400) / RATE
    ringing = np.exp(-2 * np.pi * 60 * time) * np.sin(2 * np.pi * FORMANT * time)
    return (0.1 * np.convolve(pulses, ringing)[:size]).astype(np.float32)


def formant_of(wave):
    """Centre of the spectrum's strongest 500 Hz, in Hz."""
    power = np.abs(np.fft.rfft(wave)) ** 2
    frequencies = np.fft.rfftfreq(len(wave), 1 / RATE)
    near = np.abs(frequencies - frequencies[power.argmax()]) < 250
    return float((power * frequencies)[near].sum() / power[near].sum())


def period_of(wave):
    """Samples between two pulses."""
    spectrum = np.abs(np.fft.rfft(wave, 2 * len(wave))) ** 2
    return 80 + int(np.fft.irfft(spectrum)[80:300].argmax())


@pytest.mark.parametrize("factor", [0.82, 1.0, 1.22])
def test_formants_move_and_the_rest_stays(factor):
    wave = vowel()
    (moved,) = with_formants_moved([wave], [factor])
    assert formant_of(moved) == pytest.approx(FORMANT * factor, rel=0.05)
    assert period_of(moved) == pytest.approx(RATE // PITCH, abs=1)
    assert moved.dtype == np.float32
    assert len(moved) == len(wave)
    assert np.square(moved).mean() == pytest.approx(np.square(wave).mean(), rel=0.05)


def test_sounds_of_different_lengths_are_changed_each_by_its_own_factor():
    waves = [vowel(0.3), vowel(0.5)]
    both = with_formants_moved(waves, [1.2, 1.0])
    assert [len(wave) for wave in both] == [len(wave) for wave in waves]
    np.testing.assert_allclose(both[1], waves[1], atol=1e-5)
    assert np.abs(both[0] - waves[0]).max() > 0.01


def test_silence_stays_silence():
    (moved,) = with_formants_moved([np.zeros(400, np.float32)], [1.2])
    assert np.array_equal(moved, np.zeros(400, np.float32))
