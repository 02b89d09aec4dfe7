"""The front-end's spec, read without evaluating it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion2vec_edge.engine.errors import UnsupportedConfigError
from emotion2vec_edge.export.checkpoint.conv_spec import parse_conv_spec
from emotion2vec_edge.export.model.config import ConvLayer


def test_the_real_spec():
    layers = parse_conv_spec("[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512,2,2)] + [(512,2,2)]")
    assert len(layers) == 7
    assert layers[0] == ConvLayer(512, 10, 5)
    assert layers[-1] == ConvLayer(512, 2, 2)


layer_triples = st.tuples(st.integers(1, 999), st.integers(1, 20), st.integers(1, 9))


@given(st.lists(st.tuples(layer_triples, st.integers(1, 4)), min_size=1, max_size=8))
def test_any_sum_of_repeated_lists_is_what_python_says(parts):
    text = " + ".join(f"[{triple}] * {times}" for triple, times in parts)
    expected = [triple for triple, times in parts for _ in range(times)]
    assert [
        (layer.channels, layer.kernel, layer.stride) for layer in parse_conv_spec(text)
    ] == expected


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')", "[(512, 10, 5)] * 10**9", "[(512, 10)]", "[]", "", "1",
        "[(512, 10, 5.0)]", "[(0, 10, 5)]", "[(-1, 10, 5)]", "[(512, 10, 5)", "[x for x in y]",
        "[(1,1,1)] * 65", "(" * 500, "[(True, 10, 5)] + [open]",
    ],
)  # fmt: skip
def test_specs_that_are_refused(text):
    with pytest.raises(UnsupportedConfigError, match="feature_encoder_spec"):
        parse_conv_spec(text)
