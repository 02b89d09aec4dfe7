"""A convolution in eight bits against the same in float."""

import types

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from emotion2vec_edge.engine.runtime.providers import CPU
from emotion2vec_edge.engine.runtime.session import SessionConfig
from emotion2vec_edge.quantize.rewrites.convolution import quantize_convolutions
from emotion2vec_edge.quantize.rewrites.graph import operators


def convolution(weight, bias):
    """x [1, channels, frames] → y, in 4 groups."""
    inputs = ["x", "weight"] if bias is None else ["x", "weight", "bias"]
    node = helper.make_node("Conv", inputs, ["y"], "conv", group=4, pads=[2, 2], kernel_shape=[5])
    constants = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
    graph = helper.make_graph(
        [node],
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, len(weight), "frames"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, len(weight), "frames"])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(model, x):
    onnx.checker.check_model(model)
    session = CPU.open_session(model.SerializeToString(), SessionConfig(1))
    return session.run(None, {"x": x})[0]


def ranges_of(**values):
    return {
        name: types.SimpleNamespace(range_value=(value.min(), value.max()))
        for name, value in values.items()
    }


@pytest.mark.parametrize("with_bias", [True, False])
def test_it_is_near_the_one_in_float(rng, with_bias):
    weight = rng.normal(size=(16, 4, 5)).astype(np.float32)
    bias = rng.normal(size=16).astype(np.float32) if with_bias else None
    x = rng.normal(size=(1, 16, 40)).astype(np.float32)
    model = convolution(weight, bias)
    expected = run(model, x)
    quantize_convolutions(model, (), ranges_of(x=x, y=expected))
    assert operators(model) == {"DequantizeLinear": 1, "QLinearConv": 1, "QuantizeLinear": 1}
    assert np.abs(run(model, x) - expected).max() < 0.015 * np.ptp(expected)


def test_silence_stays_silent(rng):
    """Zero is exact, also in ranges that do not hold it, and in channels and ranges of zeros."""
    weight = rng.normal(size=(8, 2, 5)).astype(np.float32)
    weight[3] = 0
    for x in (np.full((1, 8, 9), 2.0, np.float32), np.zeros((1, 8, 9), np.float32)):
        model = convolution(weight, None)
        quantize_convolutions(model, (), ranges_of(x=x, y=run(model, x)))
        assert not run(model, np.zeros_like(x)).any()


def test_one_to_keep_is_not_touched(rng):
    model = convolution(rng.normal(size=(8, 2, 5)).astype(np.float32), None)
    before = model.SerializeToString()
    quantize_convolutions(model, ("conv",), {})
    assert model.SerializeToString() == before
