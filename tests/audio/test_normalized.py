"""Recordings that are measured first, and read for the encoder then."""

import numpy as np
import pytest
import soundfile

from emotion2vec_edge.engine.audio import normalized
from emotion2vec_edge.engine.audio.normalized import NormalizedRecording
from emotion2vec_edge.engine.audio.recording import Recording
from emotion2vec_edge.engine.errors import AudioTooShortError, UndecodableAudioError


@pytest.fixture
def long_file(tmp_path, monkeypatch, rng):
    """20 s of noise in a file, which are more than is held."""
    monkeypatch.setattr(normalized, "HELD_SECONDS", 10.0)
    path = tmp_path / "long.wav"
    soundfile.write(path, noise(rng), 16_000)
    return path


def noise(rng, seconds=20):
    return rng.uniform(-0.5, 0.7, seconds * 16_000).astype(np.float32)


def read(path, **options):
    recording = NormalizedRecording(Recording(path), **options)
    try:
        return np.concatenate(list(recording.blocks())), recording
    finally:
        recording.close()


@pytest.mark.parametrize("held_seconds", [10.0, 60.0])
def test_zero_mean_and_unit_variance_over_the_whole(long_file, held_seconds, monkeypatch):
    monkeypatch.setattr(normalized, "HELD_SECONDS", held_seconds)
    samples, recording = read(long_file)
    assert recording.normalization == "whole"
    assert recording.seconds == 20.0
    assert samples.mean(dtype=np.float64) == pytest.approx(0, abs=1e-6)
    assert samples.std(dtype=np.float64) == pytest.approx(1, abs=1e-3)
    plain, _ = read(long_file, normalize=False)
    np.testing.assert_array_equal(plain, soundfile.read(long_file, dtype="float32")[0])


def test_another_file_of_that_name_is_not_the_recording(long_file, rng):
    """The second reading opened the path again, and mixed two files."""
    expected, _ = read(long_file)
    recording = NormalizedRecording(Recording(long_file))
    other = long_file.with_name("other.wav")
    soundfile.write(other, noise(rng), 16_000)
    other.replace(long_file)
    np.testing.assert_array_equal(np.concatenate(list(recording.blocks())), expected)
    recording.close()
    again = NormalizedRecording(Recording(long_file))
    long_file.unlink()
    assert len(np.concatenate(list(again.blocks()))) == 320_000
    again.close()


@pytest.mark.parametrize("seconds", [12, 20, 25])
def test_a_file_that_is_written_over_between_the_readings(long_file, rng, seconds):
    recording = NormalizedRecording(Recording(long_file))
    soundfile.write(long_file, noise(rng, seconds), 16_000)  # the same file, with other content
    with pytest.raises(UndecodableAudioError, match="long.wav: changed while it was read"):
        list(recording.blocks())
    recording.close()


def test_samples_that_are_changed_between_the_readings(rng, monkeypatch):
    monkeypatch.setattr(normalized, "HELD_SECONDS", 10.0)
    samples = noise(rng)
    recording = NormalizedRecording(Recording(samples, 16_000))
    samples[100_000] += 0.1
    with pytest.raises(UndecodableAudioError, match="changed while it was read"):
        list(recording.blocks())


class Counter:
    """A listener that counts samples."""

    def __init__(self):
        self.count = 0

    def add(self, block):
        self.count += len(block)


def test_a_listener_hears_everything_once(long_file):
    counter = Counter()
    recording = NormalizedRecording(Recording(long_file), listener=counter)
    assert counter.count == 320_000
    assert len(np.concatenate(list(recording.blocks()))) == 320_000
    assert counter.count == 320_000
    recording.close()


def test_a_listener_hears_a_long_pipe_before_it_is_encoded(long_file, monkeypatch):
    monkeypatch.setattr(normalized, "HELD_SECONDS", 5.0)
    opened = Recording(long_file)
    opened.rereadable = False
    counter = Counter()
    recording = NormalizedRecording(opened, listener=counter)
    assert counter.count < 320_000
    encoded = 0
    for block in recording.blocks():
        encoded += len(block)
        assert counter.count >= encoded
    assert counter.count == encoded == 320_000
    recording.close()


def test_nothing_to_normalise():
    with pytest.raises(AudioTooShortError):
        NormalizedRecording(Recording(np.zeros(399, np.float32), 16_000))
