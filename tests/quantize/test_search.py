"""The search for layers that must stay in float."""

import pytest

from emotion2vec_edge.quantize.search import smallest_exclusion


@pytest.mark.parametrize("needed", [{"a"}, {"d"}, {"a", "c"}, {"b", "c", "g"}, set("abcdefgh")])
def test_the_search_leaves_only_what_is_needed(needed):
    tried = []

    def passes(kept):
        tried.append(kept)
        return needed <= set(kept)

    found = smallest_exclusion("abcdefgh", passes, lambda *_: None)
    assert set(found) == needed


def test_a_search_without_an_answer():
    assert smallest_exclusion("abc", lambda _: False, lambda *_: None) is None
