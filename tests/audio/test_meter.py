"""Statistics of a recording, and the warnings that follow from them."""

import numpy as np
import pytest
from recordings import tone

from emotion2vec_edge.engine import example_recordings
from emotion2vec_edge.engine.audio.meter import Meter


def codes(recognizer, samples):
    return {warning.code for warning in recognizer.encode(samples, 16_000).warnings}


def test_clean_speech_has_no_warning(recognizer):
    for path in example_recordings():
        assert recognizer.recognize(path).warnings == ()


def test_short(recognizer, example_samples):
    assert "short" in codes(recognizer, example_samples[:15_000])


def test_near_silence(recognizer, rng):
    assert codes(recognizer, (1e-4 * rng.normal(size=32_000)).astype(np.float32)) == {"silent"}


def test_clipping(recognizer, example_samples):
    assert "clipped" in codes(recognizer, np.clip(20 * example_samples, -1, 1))
    lone_peak = example_samples.copy()
    lone_peak[5_000] = 1.0
    assert "clipped" not in codes(recognizer, lone_peak)


@pytest.mark.parametrize(("snr", "noisy"), [(5, True), (10, True), (15, True), (35, False)])
def test_noise(recognizer, example_samples, rng, snr, noisy):
    noise = rng.normal(size=len(example_samples))
    noise *= np.sqrt(np.mean(example_samples**2) / 10 ** (snr / 10))
    assert ("noisy" in codes(recognizer, (example_samples + noise).astype(np.float32))) == noisy


@pytest.mark.parametrize("size", [1, 7, 400, 4_001, 10**6])
def test_the_meter_hears_the_same_in_any_blocks(example_samples, size):
    samples = np.clip(4 * example_samples[:50_000], -1, 1)
    meter = Meter()
    for first in range(0, len(samples), size):
        meter.add(samples[first : first + size])
    assert meter.count == 50_000
    assert meter.mean == pytest.approx(samples.mean(dtype=np.float64))
    assert meter.variance == pytest.approx(samples.var(dtype=np.float64))
    high = "".join("x" if s else " " for s in np.abs(samples) >= 0.999)
    flat = sum(len(run) for run in high.split() if len(run) >= 3)
    assert flat > 0
    assert meter.clipped_share == flat / 50_000
    power = np.array(
        [np.mean(samples[i : i + 400].astype(float) ** 2) for i in range(0, 49_601, 160)]
    )
    noise = np.percentile(power, 5)
    signal = power[power >= np.median(power)].mean() - noise
    assert meter.snr() == pytest.approx(10 * np.log10(signal / noise), abs=0.5)
    assert meter.outline.shape == (156, 2)
    assert meter.outline[10].tolist() == [samples[3200:3520].min(), samples[3200:3520].max()]


def test_a_tone_is_no_clipping(recognizer):
    assert "clipped" not in codes(recognizer, tone(2.0, amplitude=0.9))
