"""Recordings that are too short or too long."""

import pytest
from recordings import tone

from emotion2vec_edge.engine.audio.recording import load_audio
from emotion2vec_edge.engine.errors import AudioTooShortError


@pytest.mark.parametrize("count", [1, 399])
def test_too_short(count):
    with pytest.raises(AudioTooShortError, match=f"{count} samples .* at least 400"):
        load_audio(tone()[:count], 16_000)


def test_exactly_long_enough():
    assert len(load_audio(tone()[:400], 16_000).samples) == 400
