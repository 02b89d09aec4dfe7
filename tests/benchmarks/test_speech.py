"""Speech of a wanted length."""

import numpy as np
import pytest

from emotion2vec_edge.benchmarks.speech import joined_speech, of_length, sample_speech
from emotion2vec_edge.engine.errors import OptionError


def test_speech_is_repeated_to_the_length(example, example_samples):
    assert len(joined_speech(None, 120)) == 120 * 16_000
    speech = joined_speech(example, 60)
    length = len(example_samples)
    np.testing.assert_array_equal(speech[:length], example_samples)
    np.testing.assert_array_equal(speech[length : 2 * length], example_samples)
    np.testing.assert_array_equal(of_length(sample_speech(), 1.0), sample_speech()[:16_000])


def test_a_folder_without_a_readable_recording(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    with pytest.raises(OptionError, match="no recording in it could be read"):
        joined_speech(tmp_path, 1)
