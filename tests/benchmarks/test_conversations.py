"""Conversations made of clips: what is known of them is true."""

import itertools

import numpy as np
import pytest
import soundfile

from emotion2vec_edge.benchmarks.conversations import (
    PAUSES,
    conversations,
    has_sharp_ends,
    make_conversation,
    mostly_neutral,
    room_noise,
    speech_edges,
)
from emotion2vec_edge.engine.corpora.labelled import LabelledClip

RATE = 16_000


@pytest.fixture(scope="module")
def clips(tmp_path_factory, example_samples):
    """Three clips each of three speakers, with silence around them, and one that is no audio."""
    folder = tmp_path_factory.mktemp("clips")
    clips = []
    for number in range(9):
        path = folder / f"{number}.wav"
        piece = example_samples[number * 5_000 :][: 16_000 + 1_000 * number]
        soundfile.write(path, np.pad(piece, 8_000), RATE, subtype="FLOAT")
        label = ("sad", "angry", "happy")[number % 3]
        clips.append(LabelledClip(path, label, "calls", speaker=f"s{number // 3}"))
    (folder / "text.wav").write_text("no audio")
    return [*clips, LabelledClip(folder / "text.wav", "sad", "calls", speaker="s0")]


@pytest.mark.parametrize("snr", [None, 20.0])
def test_turns_lie_where_they_are_said_to(clips, snr):
    made = make_conversation(clips, 1, snr)
    assert len(made.turns) == 9
    assert {turn.speaker for turn in made.turns} == {"calls/s0", "calls/s1", "calls/s2"}
    levels = []
    for turn in made.turns:
        part = made.samples[round(turn.start * RATE) : round(turn.end * RATE)]
        assert len(part) == len(turn.alone)
        assert turn.start + 0.4 < turn.speech_start < turn.speech_end < turn.end - 0.4
        first, last = (
            round((time - turn.start) * RATE) for time in (turn.speech_start, turn.speech_end)
        )
        levels.append(10 * np.log10(np.square(turn.alone[first:last]).mean()))
        if snr is None:
            np.testing.assert_array_equal(part, turn.alone)
    assert max(levels) - min(levels) < 3
    for before, after in itertools.pairwise(made.turns):
        assert PAUSES[0] - 1e-3 <= after.start - before.end <= PAUSES[1] + 1e-3
    if snr is not None:
        clean = make_conversation(clips, 1, None)
        noise = made.samples - clean.samples
        level = 10 * np.log10(np.square(noise, dtype=np.float64).mean())
        assert np.mean(levels) - level == pytest.approx(snr, abs=1)


def test_all_clips_of_two_speakers_in_turn(clips):
    made = list(conversations(clips, 4, None))
    assert [len(conversation.turns) for conversation in made] == [4, 2, 3]
    speakers = [turn.speaker for turn in made[0].turns]
    assert speakers == ["calls/s0", "calls/s1", "calls/s0", "calls/s1"]
    assert sum(len(conversation.turns) for conversation in made) == 9
    again = list(conversations(clips, 4, None))
    np.testing.assert_array_equal(made[0].samples, again[0].samples)


def test_clips_are_thinned_to_a_share_of_neutral_ones():
    clips = [
        LabelledClip(f"{voice}{number}.wav", "neutral" if number < 6 else "sad", "x", speaker=voice)
        for voice in ("ann", "bob")
        for number in range(12)
    ]
    kept = mostly_neutral(clips, 0.75)
    assert len(kept) == 16
    assert sum(clip.label == "neutral" for clip in kept) == 12
    assert {clip.speaker for clip in kept} == {"ann", "bob"}
    assert {clip.label for clip in mostly_neutral(clips, 1)} == {"neutral"}


def test_edges_of_speech_and_those_that_are_sharp():
    rng = np.random.default_rng(0)
    burst = (0.5 * rng.standard_normal(RATE)).astype(np.float32)
    padded = np.concatenate([np.zeros(8_000, np.float32), burst, np.zeros(4_000, np.float32)])
    first, last = speech_edges(padded)
    assert (first, last) == pytest.approx((8_000, 8_000 + RATE), abs=320)
    assert has_sharp_ends(padded)
    assert not has_sharp_ends(burst)  # nobody knows what came before
    assert not has_sharp_ends(padded + 0.02 * rng.standard_normal(len(padded)))
    slow = padded.copy()
    slow[4_000:8_000] = 0.02 * rng.standard_normal(4_000)
    assert not has_sharp_ends(slow)
    for nothing in (np.zeros(0, np.float32), np.zeros(100, np.float32), np.zeros(RATE, np.float32)):
        assert speech_edges(nothing) == (0, 0)
        assert not has_sharp_ends(nothing)


def test_noise_of_a_room_falls_with_frequency():
    noise = room_noise(8 * RATE, 0)
    power = np.abs(np.fft.rfft(noise)) ** 2
    low, high = power[8_000:16_000].mean(), power[32_000:64_000].mean()
    assert 10 * np.log10(low / high) == pytest.approx(6, abs=1)
    assert noise.std() == pytest.approx(1, abs=0.01)


def test_clips_that_cannot_be_used():
    assert (
        make_conversation([LabelledClip(path="gone.wav", label="sad", corpus="x")], 0, 20) is None
    )
