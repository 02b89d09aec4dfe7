"""Degradations of recordings."""

import numpy as np
import pytest

from emotion2vec_edge.benchmarks.degradations import codec, gain, narrow, noise
from emotion2vec_edge.engine.errors import OptionError


def test_degradations_do_what_they_say(example_samples):
    noisy = noise(10).apply(example_samples)
    added = noisy - example_samples
    snr = 10 * np.log10(np.mean(example_samples**2) / np.mean(added**2))
    assert snr == pytest.approx(10, abs=0.1)
    np.testing.assert_array_equal(noisy, noise(10).apply(example_samples))
    assert np.abs(gain(40).apply(example_samples)).max() == 1.0
    np.testing.assert_allclose(gain(-20).apply(example_samples), example_samples / 10, rtol=1e-5)
    spectrum = np.abs(np.fft.rfft(narrow(8_000).apply(example_samples)))
    assert spectrum[len(spectrum) * 6 // 10 :].max() < 0.01 * spectrum.max()
    coded = codec("opus:16k").apply(example_samples)
    assert abs(len(coded) - len(example_samples)) < 1_000
    assert 0.7 < np.corrcoef(coded, example_samples[: len(coded)])[0, 1] < 0.9999
    for bad in ("opus", "opus:loud", "tape:16k", "opus:0", "opus:²"):
        with pytest.raises(OptionError, match="opus:16k"):
            codec(bad)
    with pytest.raises(OptionError):
        narrow(48_000)


def test_a_bit_rate_that_the_encoder_refuses(example_samples):
    with pytest.raises(OptionError, match="opus:9000k: the encoder refuses it"):
        codec("opus:9000k").apply(example_samples)
