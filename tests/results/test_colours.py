"""Each emotion has one colour, wherever it is drawn."""

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
