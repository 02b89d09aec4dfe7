"""Timelines of one pass and of windows alone."""

import pytest

from emotion2vec_edge.engine import example_recordings


@pytest.mark.slow
def test_the_windows_table(e2v_bench):
    text = e2v_bench(
        "windows", example_recordings()[0], "--seconds", 3, "--rounds", 2, "--clips", 1
    )
    assert "0.1 / 0.05         59" in text
    assert "Why they differ" in text
