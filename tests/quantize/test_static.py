"""Static INT8: made for OpenVINO, of standard operators, behind the same gate."""

import shutil

import onnx
import pytest

from emotion2vec_edge.engine import Recognizer, open_bundle
from emotion2vec_edge.engine.errors import GateError, OptionError
from emotion2vec_edge.quantize import quantizer
from emotion2vec_edge.quantize.gate import Limits
from emotion2vec_edge.quantize.graph import MOVES, Graph
from emotion2vec_edge.quantize.int8 import all_layers
from emotion2vec_edge.quantize.quantizer import add_int8_static
from emotion2vec_edge.quantize.search import Ranked


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
