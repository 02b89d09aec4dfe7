"""Channels made alike before they are rounded: the same function, and less lost by rounding."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.quantize.int8 import _quantize_dynamic
from emotion2vec_edge.quantize.rewrites.graph import Graph
from emotion2vec_edge.quantize.rewrites.smoothing import Smoothing, feeds_on_speech

CHANNELS = 16


@pytest.fixture(scope="module")
def feeds(small_bundle, speech):
    model = Recognizer.load(small_bundle, precision="fp32", provider="cpu").encoder
    return feeds_on_speech(model, speech.clips[:3])


def run(model, feed):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, feed)


def test_the_function_is_the_same(graphs, feeds):
    smoothing = Smoothing.on_speech(graphs, feeds)
    smoothed = smoothing.smoothed()
    for name, model in smoothed.items():
        onnx.checker.check_model(model)
        assert len(model.graph.node) > len(graphs[name].graph.node)
        for feed in feeds[name]:
            for found, wanted in zip(run(model, feed), run(graphs[name], feed), strict=True):
                np.testing.assert_allclose(found, wanted, atol=1e-3)


def test_products_behind_a_layer_norm_are_smoothed_and_no_others(graphs, feeds):
    smoothing = Smoothing.on_speech(graphs, feeds)
    assert {layer.rpartition(".")[2] for layer in smoothing.sizes} == {
        "frontend/project", "qkv", "fc1"
    }  # fmt: skip
    kept = "encoder/blocks.0.fc1"
    model = Graph(smoothing.smoothed([kept])["encoder"])
    for node in model.nodes:
        if node.name.endswith((".fc1", ".qkv", ".fc2", ".proj")):
            divided = model.producer[node.input[0]].name == f"{node.name}.divide"
            layer = f"encoder/{node.name}"
            assert divided == (layer in smoothing.sizes and layer != kept), layer


@pytest.fixture
def one_large_channel():
    """A LayerNorm with one channel that is a hundred times as large, and a product that reads it."""
    rng = np.random.default_rng(0)
    scale, weight = np.ones(CHANNELS, np.float32), rng.normal(size=(CHANNELS, 8))
    scale[3], weight[3] = 100, weight[3] / 100
    constants = {"scale": scale, "weight": weight.astype(np.float32)}
    graph = helper.make_graph(
        [
            helper.make_node("LayerNormalization", ["x", "scale"], ["normalized"]),
            helper.make_node("MatMul", ["normalized", "weight"], ["y"], "product"),
        ],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, "frames", CHANNELS])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, "frames", 8])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def test_a_large_channel_costs_the_others_nothing(one_large_channel):
    feeds = [
        {"x": np.random.default_rng(seed).normal(size=(1, 50, CHANNELS)).astype(np.float32)}
        for seed in range(4)
    ]
    smoothing = Smoothing.on_speech({"encoder": one_large_channel}, {"encoder": feeds[:2]})
    assert smoothing.sizes["encoder/product"].argmax() == 3
    wanted = np.concatenate([run(one_large_channel, feed)[0] for feed in feeds])

    def lost(model):
        model = _quantize_dynamic(model, [])
        found = np.concatenate([run(model, feed)[0] for feed in feeds])
        return float(np.abs(found - wanted).mean())

    assert lost(smoothing.smoothed()["encoder"]) < 0.2 * lost(one_large_channel)
