"""Samples in memory: dtypes, shapes and rates."""

import numpy as np
import pytest
from recordings import tone

from emotion2vec_edge.engine.audio.recording import Recording, load_audio
from emotion2vec_edge.engine.errors import AudioTooShortError, InvalidSamplesError


@pytest.mark.parametrize(
    ("dtype", "scale", "offset", "tolerance"),
    [("int16", 2**15, 0, 1e-4), ("int32", 2**31, 0, 1e-6), ("uint8", 2**7, 128, 1e-2)],
)
def test_integer_arrays_are_scaled(dtype, scale, offset, tolerance):
    array = (tone().astype(np.float64) * scale + offset).astype(dtype)
    np.testing.assert_allclose(load_audio(array, 16_000).samples, tone(), atol=tolerance)


def test_float64_arrays_and_lists():
    np.testing.assert_array_equal(load_audio(tone().astype(np.float64), 16_000).samples, tone())
    assert load_audio([0.25] * 500, 16_000).samples.tolist() == [0.25] * 500


@pytest.mark.parametrize("shape", [(500,), (500, 1)])
def test_an_array_may_be_used_again_while_a_recording_is_encoded(shape):
    array = np.full(shape, 0.25, np.float32)
    samples = load_audio(array, 16_000).samples
    blocks = list(Recording(array, 16_000).blocks())
    array[:] = 1
    assert set(samples) == set(np.concatenate(blocks)) == {np.float32(0.25)}


def test_float64_beyond_float32_is_infinite():
    with pytest.raises(InvalidSamplesError, match="infinite"):
        load_audio(np.full(500, 1e300), 16_000)


@pytest.mark.parametrize(
    ("source", "rate", "message"),
    [
        (tone(), None, "need their rate"),
        (tone(), 16_000.5, "whole number"),
        (tone(), True, "whole number"),
        (tone(), 0, "sample rate of 0 Hz"),
        (tone(), -16_000, "sample rate"),
        (tone(), 10**9, "sample rate"),
        (np.zeros((2, 16_000), np.float32), 16_000, "channels come last"),
        (np.zeros((2, 2, 2)), 16_000, "shape"),
        (np.float32(3), 16_000, "shape"),
        (np.zeros(500, np.complex64), 16_000, "complex64"),
        (np.array(["a"] * 500), 16_000, "dtype"),
        (np.zeros(500, bool), 16_000, "dtype bool"),
        ([[1.0], [1.0, 2.0]], 16_000, "not an array"),
        (None, 16_000, "shape"),
    ],
)
def test_arrays_that_are_not_samples(source, rate, message):
    with pytest.raises(InvalidSamplesError, match=message):
        load_audio(source, rate)


def test_an_empty_array_is_too_short():
    with pytest.raises(AudioTooShortError):
        load_audio(np.zeros(0, np.float32), 16_000)
