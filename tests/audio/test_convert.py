"""Any rate and number of channels → mono at 16 kHz."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import encoded, tone

from emotion2vec_edge.engine.audio.convert import Converter
from emotion2vec_edge.engine.audio.recording import load_audio
from emotion2vec_edge.engine.audio.types import LOUDEST
from emotion2vec_edge.engine.errors import AudioTooShortError, InvalidSamplesError


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_any_rate_becomes_16_khz(rate):
    audio = load_audio(tone(2.0, rate), rate)
    assert len(audio.samples) == pytest.approx(32_000, abs=2)
    middle = slice(4_000, 28_000)
    np.testing.assert_allclose(audio.samples[middle], tone(2.0)[middle], atol=2e-3)


def test_channels_are_averaged_or_picked():
    samples = np.stack([tone(), np.zeros(16_000, np.float32)], axis=1)
    np.testing.assert_allclose(load_audio(samples, 16_000).samples, tone() / 2)
    np.testing.assert_array_equal(load_audio(samples, 16_000, channel=0).samples, tone())
    assert not load_audio(samples, 16_000, channel=1).samples.any()
    with pytest.raises(InvalidSamplesError, match="no channel 2; it has 2"):
        load_audio(samples, 16_000, channel=2)


@settings(max_examples=30, deadline=None)
@given(
    rate=st.integers(1_000, 200_000),
    channels=st.integers(1, 4),
    count=st.integers(1, 60_000),
    seed=st.integers(0, 2**32 - 1),
)
def test_length_follows_rate_for_any_clip(rate, channels, count, seed):
    samples = np.random.default_rng(seed).uniform(-1, 1, (count, channels)).astype(np.float32)
    expected = count * 16_000 / rate
    if expected < 398:
        with pytest.raises(AudioTooShortError):
            load_audio(samples, rate)
    elif expected > 402:
        audio = load_audio(samples, rate)
        assert len(audio.samples) == pytest.approx(expected, abs=2)
        assert np.isfinite(audio.samples).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_numbers(value):
    samples = tone()
    samples[8_000] = value
    with pytest.raises(InvalidSamplesError, match=r"at 0\.500 s is NaN or infinite"):
        load_audio(samples, 16_000)
    with pytest.raises(InvalidSamplesError, match="NaN or infinite"):
        load_audio(encoded(samples, 16_000, "WAV", subtype="FLOAT"))


@pytest.mark.parametrize("rate", [1_000, 8_000, 16_000, 44_100, 48_000, 767_999])
@pytest.mark.parametrize("channel", [None, 0])
def test_the_loudest_audio_does_not_overflow(rate, channel):
    """Finite audio of 1e37 overflowed in the resampler, after the check."""
    loud = 0.999 * LOUDEST
    samples = np.where(np.arange(2 * rate) % 7 < 3, loud, -loud).astype(np.float32)
    samples[: rate // 2] = loud
    samples = np.repeat(samples[:, None], 3, axis=1)
    assert np.isfinite(load_audio(samples, rate, channel=channel).samples).all()
    with pytest.raises(InvalidSamplesError, match="at 0.000 s is 1e[+]37, and 1e[+]30 is the most"):
        load_audio(np.full((2 * rate, 2), 1e37, np.float32), rate, channel=channel)


@pytest.mark.parametrize("rate", [8_000, 16_000])
def test_a_block_that_is_refused_leaves_the_converter_as_it_was(rate):
    speech = np.random.default_rng(0).uniform(-1, 1, (10 * rate, 2)).astype(np.float32)
    bad = speech.copy()
    bad[9 * rate] = np.nan
    disturbed, calm = Converter("a", rate, None), Converter("a", rate, None)
    first = disturbed.feed(speech)
    with pytest.raises(InvalidSamplesError, match=r"at 19\.000 s is NaN"):
        disturbed.feed(bad)
    np.testing.assert_array_equal(first, calm.feed(speech))
    np.testing.assert_array_equal(disturbed.feed(speech), calm.feed(speech))
    np.testing.assert_array_equal(disturbed.flush(), calm.flush())


@pytest.mark.parametrize("size", [333, 44_100, 400_000])
def test_blocks_of_any_length_give_the_same(size):
    samples = np.random.default_rng(1).uniform(-1, 1, (400_000, 1)).astype(np.float32)
    whole, pieces = Converter("a", 44_100, None), Converter("a", 44_100, None)
    expected = np.concatenate([whole.feed(samples), whole.flush()])
    found = [pieces.feed(samples[i : i + size]) for i in range(0, len(samples), size)]
    np.testing.assert_array_equal(np.concatenate([*found, pieces.flush()]), expected)
