"""Static INT8: made for OpenVINO or TensorRT, of standard operators, behind the same gate."""

import shutil

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from emotion2vec_edge.engine import Recognizer, open_bundle
from emotion2vec_edge.engine.errors import GateError, OptionError
from emotion2vec_edge.quantize import quantizer
from emotion2vec_edge.quantize.gate import Limits
from emotion2vec_edge.quantize.int8 import all_layers
from emotion2vec_edge.quantize.quantizer import add_int8_static
from emotion2vec_edge.quantize.rewrites.graph import MOVES, Graph
from emotion2vec_edge.quantize.search import Ranked

TENSORRT_OPERATORS = {
    "Abs", "Add", "Cast", "Concat", "Conv", "DequantizeLinear", "Div", "Erf", "Expand",
    "GreaterOrEqual", "LayerNormalization", "Less", "MatMul", "Max", "Mul", "Neg", "Pad",
    "QuantizeLinear", "Range", "Reshape", "Shape", "Slice", "Softmax", "Split", "Squeeze",
    "Sub", "Transpose", "Unsqueeze",
}  # fmt: skip
"""Those of our graphs that onnx-tensorrt's docs/operators.md and Changelog.md list for 8.6."""


@pytest.fixture(scope="module")
def with_static(small_bundle, speech, tmp_path_factory):
    """A bundle with the variant, and its entry."""
    folder = tmp_path_factory.mktemp("static") / "model"
    shutil.copytree(small_bundle, folder)
    # One clip of these sixteen that changes its emotion is 6 % of them.
    return folder, add_int8_static(folder, speech, limits=Limits(agreement=0.9))


def test_a_variant_for_openvino(with_static, example):
    folder, variant = with_static
    assert variant.providers == ("openvino",)
    assert variant.evidence["mean_shift"] < 0.003
    assert variant.evidence["cosine"] > 0.999
    assert variant.recipe["keep_float"] == ["frontend/convs.0"]
    assert variant.bytes < 0.4 * open_bundle(folder).variant("fp32").bytes
    exact = Recognizer.load(folder, precision="fp32", provider="cpu").recognize(example)
    ours = Recognizer.load(folder, precision="int8-static", provider="cpu")
    assert ours.recognize(example).scores == pytest.approx(exact.scores, abs=0.03)
    # On the CPU the dynamic one is faster.
    assert Recognizer.load(folder, provider="cpu").precision != "int8-static"


def test_every_layer_but_those_to_keep_is_in_eight_bits(with_static):
    """Also the positional convolutions; and nothing that only ONNX Runtime knows is in the graph."""
    folder, _ = with_static
    bundle = open_bundle(folder)
    paths = bundle.graphs("int8-static")
    exact = {name: onnx.load(path) for name, path in bundle.graphs("fp32").items()}
    for name, path in paths.items():
        model = onnx.load(path)
        onnx.checker.check_model(model)
        assert {entry.domain for entry in model.opset_import} <= {"", "ai.onnx"}
        graph = Graph(model)
        for layer in all_layers(exact):
            if layer.startswith(f"{name}/"):
                node = next(n for n in graph.nodes if n.name == layer.partition("/")[2])
                sources = [graph.producer[i].op_type for i in node.input if i in graph.producer]
                eight = sources.count("DequantizeLinear") >= 2
                assert eight == (layer != "frontend/convs.0"), (layer, sources)
        for node in graph.nodes:  # values are rounded before windows of them are gathered
            if node.op_type == "QuantizeLinear" and node.input[0] in graph.producer:
                assert graph.producer[node.input[0]].op_type not in MOVES


@pytest.fixture(scope="module")
def for_tensorrt(small_bundle, speech, tmp_path_factory):
    """A bundle with the variant for TensorRT, and its entry."""
    folder = tmp_path_factory.mktemp("static") / "model"
    shutil.copytree(small_bundle, folder)
    limits = Limits(agreement=0.9)
    return folder, add_int8_static(folder, speech, limits=limits, target="tensorrt")


def test_a_variant_for_tensorrt(for_tensorrt, example):
    folder, variant = for_tensorrt
    assert variant.providers == ("tensorrt",)
    assert variant.recipe["target"] == "tensorrt"
    assert "activations int8 per tensor" in variant.recipe["quantization"]
    assert variant.evidence["mean_shift"] < 0.004
    assert variant.evidence["cosine"] > 0.999
    exact = Recognizer.load(folder, precision="fp32", provider="cpu").recognize(example)
    ours = Recognizer.load(folder, precision="int8-static", provider="cpu").recognize(example)
    assert ours.scores == pytest.approx(exact.scores, abs=0.03)


def test_graphs_that_tensorrt_reads(for_tensorrt):
    bundle = open_bundle(for_tensorrt[0])
    for name, path in bundle.graphs("int8-static").items():
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]
        assert {node.op_type for node in model.graph.node} <= TENSORRT_OPERATORS
        exact = onnx.load(bundle.graph("fp32", name))
        assert [v.name for v in model.graph.output] == [v.name for v in exact.graph.output]


def test_quantization_as_tensorrt_wants_it(for_tensorrt):
    """The checks of its parser (QuantDequantLinearHelper), and one reader of each pair."""
    for path in open_bundle(for_tensorrt[0]).graphs("int8-static").values():
        model = onnx.load(path)
        graph = Graph(model)
        constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        products = [node for node in graph.nodes if node.op_type == "MatMul"]
        quantized = []
        for first in [node for node in graph.nodes if node.op_type == "QuantizeLinear"]:
            (last,) = graph.consumers[first.output[0]]
            (product,) = graph.consumers[last.output[0]]
            assert (last.op_type, product.op_type) == ("DequantizeLinear", "MatMul")
            assert list(first.input[1:]) == list(last.input[1:])
            scale, zero = (constants[value] for value in first.input[1:])
            assert scale.dtype == np.float32
            assert (scale > 0).all()
            assert zero.dtype == np.int8
            assert zero.shape == scale.shape
            assert not zero.any()
            if last.output[0] == product.input[1]:  # a scale for each output channel
                weight = constants[first.input[0]]
                assert weight.dtype == np.float32
                assert scale.shape == (weight.shape[1],)
                assert {a.i for node in (first, last) for a in node.attribute} == {1}
                quantized.append(product.name)
            else:
                assert scale.shape == ()
        both = [n.name for n in products if graph.source(n.input[0]) == "DequantizeLinear"]
        assert sorted(both) == sorted(quantized)
        assert sum(node.op_type == "DequantizeLinear" for node in graph.nodes) == 2 * len(both)
        in_float = {n.name for n in products if n.input[1] in constants}
        assert in_float <= {"convs.0"}


def test_convolutions_over_one_axis_stay_in_float_for_tensorrt(fp32_only, speech):
    with pytest.raises(OptionError, match=r"no layer encoder/positional\.convs\.0; choose from"):
        add_int8_static(fp32_only, speech, ["encoder/positional.convs.0"], target="tensorrt")


def test_a_layer_that_does_not_exist(fp32_only, speech):
    with pytest.raises(OptionError, match=r"no layer encoder/none; choose from frontend/convs\.0"):
        add_int8_static(fp32_only, speech, ["encoder/none"])


def test_the_gate_refuses_it_by_name(fp32_only, speech, monkeypatch):
    monkeypatch.setattr(quantizer, "rank_layers", lambda *_: [Ranked("encoder/head", 0.5)])
    before = (fp32_only / "bundle.json").read_bytes()
    with pytest.raises(
        GateError, match=r"int8-static lost too much: embedding cosine.*encoder/head \(0\.5000\)"
    ):
        add_int8_static(fp32_only, speech, limits=Limits(cosine=1.0))
    assert (fp32_only / "bundle.json").read_bytes() == before
    assert {path.name for path in fp32_only.iterdir()} == {"bundle.json", "fp32"}
