"""Recordings that are too short or too long."""

import numpy as np
import pytest
from recordings import encoded, tone

from emotion2vec_edge.engine.audio.recording import Recording, load_audio
from emotion2vec_edge.engine.errors import AudioTooLongError, AudioTooShortError, OptionError


@pytest.mark.parametrize("count", [1, 399])
def test_too_short(count):
    with pytest.raises(AudioTooShortError, match=f"{count} samples .* at least 400"):
        load_audio(tone()[:count], 16_000)


def test_exactly_long_enough():
    assert len(load_audio(tone()[:400], 16_000).samples) == 400


@pytest.mark.parametrize(
    "limit",
    [
        0,
        -1,
        1e308,
        1.1e6,
        float("inf"),
        float("nan"),
        10**400,
        "5",
        b"5",
        1j,
        [5],
        np.array([1, 2]),
    ],
    ids=repr,
)
def test_limits_that_cannot_be(limit):
    with pytest.raises(OptionError, match="max_seconds of .* s; give 0.025 to 1,000,000 s"):
        Recording(tone(), 16_000, max_seconds=limit)


@pytest.mark.parametrize("limit", [1e6, 1, np.float32(1.5), np.int64(2), 0.025])
def test_limits_that_can_be(limit):
    with Recording(tone(), 16_000, max_seconds=limit, cut=True) as recording:
        assert sum(map(len, recording.blocks())) == min(16_000, round(float(limit) * 16_000))
        assert recording.was_cut == (limit < 1)


def test_a_recording_that_does_not_say_its_length_is_refused_at_the_limit():
    content = bytearray(encoded(tone(10.0), 16_000, "WAV", subtype="PCM_16"))
    content[40:44] = b"\xff" * 4
    recording = Recording(bytes(content), max_seconds=9.5)
    with recording, pytest.raises(AudioTooLongError, match="longer, at most 9.5 s are taken"):
        list(recording.blocks())


@pytest.mark.parametrize("channel", [True, 1.5, "0", 1e308])
def test_channels_that_are_no_whole_numbers(channel):
    with pytest.raises(OptionError, match="channel is .*give a whole number"):
        load_audio(tone(), 16_000, channel=channel)
