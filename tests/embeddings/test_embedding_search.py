"""Exact search: the answer is that of sorting everything."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion2vec_edge.engine.embeddings import search as module
from emotion2vec_edge.engine.embeddings.clips import StoredClip
from emotion2vec_edge.engine.embeddings.search import Index, nearest_clips
from emotion2vec_edge.engine.embeddings.space import Space, unit
from emotion2vec_edge.engine.embeddings.store import Content
from emotion2vec_edge.engine.errors import OptionError


@given(st.integers(1, 60), st.integers(1, 12), st.integers(1, 80), st.integers(0, 2**32 - 1))
def test_the_nearest_are_those_of_sorting_all(count, block, top, seed):
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-2, 3, (count, 3)).astype(np.float32)  # with ties
    query = rng.standard_normal(3).astype(np.float32)
    allowed = rng.random(count) < 0.7
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SEARCH_BLOCK", block)
        numbers, cosines = Index(vectors).nearest(query, top, allowed)
    expected = unit(vectors) @ unit(query[None])[0]
    kept = np.flatnonzero(allowed)
    assert len(numbers) == min(top, len(kept))
    assert allowed[numbers].all()
    np.testing.assert_allclose(cosines, np.sort(expected[kept])[::-1][: len(numbers)], atol=1e-6)
    np.testing.assert_allclose(cosines, expected[numbers], atol=1e-6)


def test_a_store_is_searched_with_a_filter():
    clips = [StoredClip("a", emotion="sad"), StoredClip("b", emotion="happy"), StoredClip("c")]
    content = Content(np.float32([[1, 0], [0.9, 0.1], [0, 1]]), clips)
    space, query = Space("raw", 2), np.float32([1, 0])
    assert [found.clip.path for found in nearest_clips(content, query, space)] == ["a", "b", "c"]
    found = nearest_clips(content, query, space, 1, lambda clip: clip.emotion != "sad")
    assert [item.clip.path for item in found] == ["b"]
    assert found[0].number == 1
    assert not nearest_clips(content, query, space, 1, lambda _: False)
    with pytest.raises(OptionError, match="at least 1"):
        nearest_clips(content, query, space, 0)
    with pytest.raises(OptionError, match="shape"):
        nearest_clips(content, np.ones(3, np.float32), space)
    empty = Content(np.zeros((0, 2), np.float32), [])
    assert nearest_clips(empty, query, space) == []
