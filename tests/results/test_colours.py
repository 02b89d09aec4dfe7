"""Each emotion has one colour, wherever it is drawn."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion2vec_edge.engine.results.colours import COLOURS, SPARE_COLOURS, colours_of


def test_the_usual_emotions_have_their_own_colour(recognizer):
    assert colours_of(recognizer.labels) == {label: COLOURS[label] for label in recognizer.labels}
    assert len(set(COLOURS.values()) | set(SPARE_COLOURS)) == len(COLOURS) + len(SPARE_COLOURS)


@given(st.lists(st.text(max_size=3), max_size=12, unique=True))
def test_labels_of_ones_own_have_one_too(labels):
    found = colours_of(labels)
    assert list(found) == labels
    own = [found[label] for label in labels if label not in COLOURS]
    assert len(set(own)) == min(len(own), len(SPARE_COLOURS))


SIGHT = {
    "usual": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "no red": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "no green": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "no blue": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}
"""Linear RGB → linear RGB as seen without one kind of cones (Machado et al. 2009, severity 1)."""

TO_CONES = [[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]]
TO_OKLAB = [[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]]


def seen(colour, sight):
    """Place of a colour in OKLab, where distances are those that are seen."""
    encoded = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return TO_OKLAB @ np.cbrt(TO_CONES @ np.clip(np.array(SIGHT[sight]) @ linear, 0, 1))


@pytest.mark.parametrize("sight", SIGHT)
def test_the_emotions_are_told_apart_also_by_the_colour_blind(sight):
    places = {label: seen(colour, sight) for label, colour in COLOURS.items()}
    near = {
        pair: distance
        for pair in combinations(places, 2)
        if (distance := np.linalg.norm(places[pair[0]] - places[pair[1]])) < 0.1
    }
    assert not near
