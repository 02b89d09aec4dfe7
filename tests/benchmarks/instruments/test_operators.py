"""Multiply-adds are counted against arithmetic."""

import pytest

from emotion2vec_edge.benchmarks.instruments import operators


def test_multiply_adds_are_counted_right(recognizer, example_samples, embedding_shape):
    """The blocks' products: 8 · dim² of each of (frames + extra tokens), in each block."""
    work = operators.profile(recognizer, example_samples[:32_000])
    (dim,), hidden = embedding_shape, 2  # the embedded model's MLP is twice as wide
    frames, blocks = 99 + 10, 6
    blocks_macs = blocks * (4 + 2 * hidden) * dim * dim * frames
    attention = blocks * 2 * frames * frames * dim
    products = work["MatMul"].macs + work.get("FusedMatMul", operators.Work()).macs
    assert products > blocks_macs
    assert products < 4 * blocks_macs  # the front-end comes on top
    unfused = work.get("MultiHeadAttention")
    if unfused:
        assert unfused.macs == pytest.approx(attention)
    event = {"dur": 10.0, "args": {"op_name": "Conv", "output_type_shape": [{"float": [1, 8, 50]}],
             "input_type_shape": [{"float": [1, 4, 52]}, {"float": [8, 4, 3]}]}}  # fmt: skip
    counted = {"Conv": operators.Work()}
    operators.count(event, counted)
    assert counted["Conv"].macs == 8 * 50 * 4 * 3
