"""Drift: a change is seen, and none where there is none."""

import numpy as np
import pytest

from emotion2vec_edge.engine.embeddings.clips import StoredClip
from emotion2vec_edge.engine.embeddings.drift import compare_stores
from emotion2vec_edge.engine.errors import OptionError


def some(rng, count, shift=0.0, emotion="sad"):
    vectors = rng.standard_normal((count, 6)) + shift
    clips = [
        StoredClip(f"{rng.integers(2**60)}.wav", confidence=0.8, scores={emotion: 1.0})
        for _ in range(count)
    ]
    return vectors.astype(np.float32), clips


def test_the_distance_is_that_of_its_definition(rng):
    (a, a_clips), (b, b_clips) = some(rng, 40), some(rng, 30, 0.5)

    def mean(x, y):
        return np.linalg.norm(x[:, None] - y[None], axis=2).mean()

    expected = 2 * mean(a, b) - mean(a, a) - mean(b, b)
    assert compare_stores(a, a_clips, b, b_clips).distance == pytest.approx(expected, abs=1e-4)


def test_a_change_is_seen_with_what_changed(rng):
    found = compare_stores(*some(rng, 200), *some(rng, 150, 0.5, "happy"))
    assert found.changed
    assert found.p_value == pytest.approx(0.001)
    assert found.shares == {"happy": (0.0, 1.0), "sad": (1.0, 0.0)}
    assert found.clips == (200, 150)


def test_chance_alone_gives_p_values_that_are_even(rng):
    values = [compare_stores(*some(rng, 30), *some(rng, 30)).p_value for _ in range(40)]
    assert 0.3 < np.mean(values) < 0.7
    assert sum(value < 0.05 for value in values) <= 6


def test_windows_of_few_recordings_are_no_evidence_of_their_own(rng):
    """Two recordings of another voice, cut into many windows, could be chance."""

    def cut(files, shift):
        centres = rng.standard_normal((files, 6)) + shift
        vectors = np.repeat(centres, 50, axis=0) + 0.1 * rng.standard_normal((50 * files, 6))
        names = [f"{rng.integers(2**60)}.wav" for _ in range(files)]
        clips = [StoredClip(name, float(n), n + 1.0) for name in names for n in range(50)]
        return vectors.astype(np.float32), clips

    assert compare_stores(*cut(3, 0), *cut(3, 0)).p_value >= 0.05


def test_the_quality_of_both_is_told(rng):
    a, clips = some(rng, 20)
    warned = [StoredClip(clip.path, confidence=0.5, warnings=("clipped",)) for clip in clips]
    found = compare_stores(a, clips, a, warned)
    assert found.warned == ({}, {"clipped": 1.0})
    assert found.confidence == (pytest.approx(0.8), pytest.approx(0.5))
    with pytest.raises(OptionError, match="3 embeddings; a comparison needs 10"):
        compare_stores(a, clips, a[:3], clips[:3])
