"""Windows over an encoding: where they lie and what they hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion2vec_edge.engine.bundle.manifest import AudioContract
from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.results.pooling import frame_centres, pool_windows, window_spans

AUDIO = AudioContract(sample_rate=16_000, hop=320, receptive_field=400, normalize=True)

seconds = st.floats(0.025, 90)
windows = st.floats(0.02, 5)
hops = st.floats(0.01, 5)


def test_frame_centres_lie_as_the_model_card_says():
    np.testing.assert_allclose(frame_centres(3, AUDIO), [0.0125, 0.0325, 0.0525])


@pytest.mark.parametrize(
    ("length", "window", "hop", "count", "last"),
    [
        (10.0, 0.1, 0.05, 199, (9.9, 10.0)),
        (10.0, 2.0, 0.5, 17, (8.0, 10.0)),
        (10.0, 1.0, 1.0, 10, (9.0, 10.0)),
        (10.3, 1.0, 1.0, 11, (10.0, 10.3)),  # what is left over is a shorter window
        (0.05, 0.1, 0.05, 1, (0.0, 0.05)),  # shorter than a window: one window
        (1.0, 0.2, 0.4, 3, (0.8, 1.0)),  # with gaps between them
    ],
)
def test_where_windows_lie(length, window, hop, count, last):
    starts, ends = window_spans(length, window, hop, AUDIO)
    assert len(starts) == len(ends) == count
    assert (starts[-1], ends[-1]) == pytest.approx(last)


@given(length=seconds, window=windows, hop=hops)
def test_windows_are_ordered_inside_the_clip_and_reach_its_end(length, window, hop):
    starts, ends = window_spans(length, window, hop, AUDIO)
    assert len(starts) >= 1
    assert starts[0] == 0
    assert (np.diff(starts) > 0).all()
    assert (starts < ends).all()
    assert ends[-1] <= length + 1e-9
    if hop <= window:
        assert ends[-1] >= length - 0.02 - 1e-9
    np.testing.assert_allclose((ends - starts)[:-1], min(window, length), atol=1e-5)


@given(frames=st.integers(1, 400), window=windows, hop=hops, seed=st.integers(0, 2**32 - 1))
def test_pooling_is_the_mean_of_the_frames_inside(frames, window, hop, seed):
    values = np.random.default_rng(seed).normal(size=(frames, 3)).astype(np.float32)
    centres = frame_centres(frames, AUDIO)
    starts, ends = window_spans(float(centres[-1]) + 0.0125, window, hop, AUDIO)
    pooled = pool_windows(values, starts, ends, AUDIO)
    for start, end, result in zip(starts, ends, pooled, strict=True):
        inside = (centres >= start - 1e-9) & (centres < end - 1e-9)
        if not inside.any():
            inside = np.abs(centres - (start + end) / 2).argmin()
            inside = np.arange(frames) == inside
        np.testing.assert_allclose(result, values[inside].mean(axis=0), atol=1e-4)


def test_one_window_over_all_is_the_mean():
    values = np.arange(100, dtype=np.float32).reshape(50, 2)
    pooled = pool_windows(values, np.array([0.0]), np.array([10.0]), AUDIO)
    np.testing.assert_allclose(pooled[0], values.mean(axis=0))


@pytest.mark.parametrize(("window", "hop"), [(0.019, 0.05), (0.1, 0), (-1, 1), (0.1, float("nan"))])
def test_impossible_windows_are_refused(window, hop):
    with pytest.raises(OptionError, match=r"give 0\.0"):
        window_spans(1.0, window, hop, AUDIO)
