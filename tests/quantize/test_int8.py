"""INT8: quantized and fused as it should be."""

import numpy as np
import onnx
import pytest

from emotion2vec_edge.engine import open_bundle
from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.quantize.int8 import KEEP_FLOAT, all_layers, quantize_graphs
from emotion2vec_edge.quantize.rewrites.graph import layers, operators


def test_every_layer_but_the_first_is_quantized_and_fused(graphs, ranges):
    names = all_layers(graphs)
    assert len(names) == 8 + 6 * 4 + 1 + 5
    quantized = quantize_graphs(graphs, KEEP_FLOAT, heads=4, ranges=ranges)
    found = {name: operators(graph) for name, graph in quantized.items()}
    total = sum(
        counts.get(operator, 0)
        for counts in found.values()
        for operator in ("MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QLinearConv")
    )
    assert total == len(names) - 1
    assert found["frontend"]["MatMul"] == 1
    assert found["encoder"]["MultiHeadAttention"] == 6
    assert found["encoder"]["QLinearConv"] == 5
    assert "Erf" not in found["encoder"]
    assert found["frontend"]["Gelu"] == 7


def test_windows_are_gathered_in_uint8(graphs, ranges):
    frontend = quantize_graphs(graphs, KEEP_FLOAT, heads=4, ranges=ranges)["frontend"]
    gathers = [node for node in frontend.graph.node if node.op_type == "Concat"]
    producers = {output: node for node in frontend.graph.node for output in node.output}

    def origin(name):
        while name in producers and producers[name].op_type in ("Concat", "Slice", "Reshape"):
            name = producers[name].input[0]
        return producers[name].op_type if name in producers else name

    # Shapes are concatenated too; what is gathered from sound is quantized, but for the waveform.
    sources = [origin(node.input[0]) for node in gathers if node.input[0] in producers]
    assert sources.count("DynamicQuantizeLinear") == 4
    assert "Gelu" not in sources


def test_the_given_graphs_stay_as_they_are(graphs, ranges):
    before = {name: graph.SerializeToString() for name, graph in graphs.items()}
    quantize_graphs(graphs, KEEP_FLOAT, heads=4, ranges=ranges)
    assert {name: graph.SerializeToString() for name, graph in graphs.items()} == before


def test_kernels_of_aarch64_take_the_weights_and_the_activations(graphs, ranges):
    """KleidiAI wants weights around zero and positive scales; UMMLA, activations without a sign."""
    quantized = quantize_graphs(graphs, KEEP_FLOAT, heads=4, ranges=ranges)
    for graph in quantized.values():
        constants = {t.name: onnx.numpy_helper.to_array(t) for t in graph.graph.initializer}
        for node in graph.graph.node:
            if node.op_type == "DynamicQuantizeMatMul":
                weights, scales, zero_points = (constants[name] for name in node.input[1:4])
            elif node.op_type == "QLinearConv":
                assert constants[node.input[2]].dtype == np.uint8
                weights, scales, zero_points = (constants[name] for name in node.input[3:6])
            else:
                continue
            assert weights.dtype == np.int8
            assert weights.min() >= -127
            assert (scales > 0).all()
            assert np.isfinite(scales).all()
            assert not zero_points.any()


def test_convolutions_stay_in_float_by_name(graphs, ranges):
    keep = ("encoder/positional.convs.1", "encoder/positional.convs.4")
    found = operators(quantize_graphs(graphs, keep, heads=4, ranges=ranges)["encoder"])
    assert (found["QLinearConv"], found["Conv"]) == (3, 2)


def test_an_unknown_layer_lists_the_known(graphs, ranges):
    with pytest.raises(OptionError, match="no layer encoder/blocks.99.*encoder/blocks.0.fc1"):
        quantize_graphs(graphs, ("encoder/blocks.99",), heads=4, ranges=ranges)


def test_layers_are_named_after_their_modules(graphs):
    assert layers(graphs["frontend"])[1] == "convs.1"
    assert "blocks.3.fc2" in layers(graphs["encoder"])


def test_the_embedded_model_keeps_its_filterbank_in_float():
    variant = open_bundle("emotion2vec_small").variant("int8")
    assert variant.recipe["keep_float"] == ["frontend/convs.0", "frontend/convs.1"]
    assert variant.evidence["agreement"] >= 0.98
    assert variant.bytes < 16 * 2**20
