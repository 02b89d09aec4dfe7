"""Variants of a bundle: made, compared, refused, searched."""

import dataclasses

import numpy as np
import onnx
import onnxruntime
import pytest
from folders import snapshot
from onnxruntime.transformers import float16

from emotion2vec_edge.engine import Recognizer, open_bundle
from emotion2vec_edge.engine.bundle.integrity import variant_files
from emotion2vec_edge.engine.errors import GateError, VariantNotFoundError
from emotion2vec_edge.quantize import quantizer
from emotion2vec_edge.quantize.calibration import Calibration
from emotion2vec_edge.quantize.fp16 import convert_graphs
from emotion2vec_edge.quantize.quantizer import add_fp16, add_int8
from emotion2vec_edge.quantize.rewrites.graph import Graph


def test_int8_is_added_and_taken_by_default(fp32_only, speech, example):
    variant = add_int8(fp32_only, speech)
    assert variant.evidence["agreement"] >= 0.98
    assert variant.evidence["mean_shift"] <= 0.01
    assert variant.recipe["keep_float"] == ["frontend/convs.0"]
    assert variant.bytes < 0.4 * open_bundle(fp32_only).variant("fp32").bytes
    ours = Recognizer.load(fp32_only, precision="int8").recognize(example)
    exact = Recognizer.load(fp32_only, precision="fp32").recognize(example)
    assert ours.emotion == exact.emotion
    assert ours.scores == pytest.approx(exact.scores, abs=0.03)
    assert not list(fp32_only.glob(".*"))


def test_the_default_on_a_cpu_is_int8():
    assert Recognizer.load(provider="cpu").precision == "int8"


def with_blocks(recognizer, seconds):
    chunking = dataclasses.replace(recognizer.encoder.chunking, block=seconds)
    encoder = dataclasses.replace(recognizer.encoder, chunking=chunking)
    return dataclasses.replace(recognizer, encoder=encoder)


def test_front_end_blocks_change_little_in_int8(example_samples):
    recognizer = Recognizer.load(precision="int8")
    blocks = with_blocks(recognizer, 1.0).recognize(example_samples, 16_000).scores
    whole = with_blocks(recognizer, 1e6).recognize(example_samples, 16_000).scores
    assert blocks == pytest.approx(whole, abs=0.02)


def test_fp16_is_near_and_keeps_what_overflows_in_float32(fp32_only, speech):
    variant = add_fp16(fp32_only, speech)
    assert variant.evidence["max_shift"] <= 0.01
    assert variant.providers == ("tensorrt", "cuda")
    encoder = onnx.load(open_bundle(fp32_only).graph("fp16", "encoder"))
    halves = sum(t.data_type == onnx.TensorProto.FLOAT16 for t in encoder.graph.initializer)
    assert halves > 50
    casts = {o: n for n in encoder.graph.node if n.op_type == "Cast" for o in n.output}
    for node in encoder.graph.node:
        if node.op_type in ("LayerNormalization", "Softmax"):
            to = [a.i for a in casts[node.input[0]].attribute if a.name == "to"]
            assert to == [onnx.TensorProto.FLOAT], node.name
    read_by = Graph(encoder).consumers
    for output, cast in casts.items():  # nothing is rounded to be read as float32 alone
        rounds = cast.attribute[0].i == onnx.TensorProto.FLOAT16
        readers = {node.name.endswith("_cast_to_fp32_node") for node in read_by[output]}
        assert not rounds or readers != {True}, cast.name
    # Named on a CPU it runs, by casts; nobody gets it there unasked.
    assert Recognizer.load(fp32_only, provider="cpu").precision == "fp32"
    assert Recognizer.load(fp32_only, precision="fp16", provider="cpu").labels


def test_fp16_where_the_converter_repeats_a_cast_for_each_reader(fp32_only, monkeypatch):
    """As that of ONNX Runtime 1.31 and older does; no version loads such a graph."""
    convert = float16.convert_float_to_float16

    def repeating(*args, **options):
        model = convert(*args, **options)
        casts = [node for node in model.graph.node if node.name.endswith("_cast_to_fp32_node")]
        model.graph.node.extend(casts)
        return model

    monkeypatch.setattr(float16, "convert_float_to_float16", repeating)
    graphs = open_bundle(fp32_only).graphs("fp32")
    for model in convert_graphs({name: onnx.load(path) for name, path in graphs.items()}).values():
        names = [node.name for node in model.graph.node]
        assert len(set(names)) == len(names)
        onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.fixture
def few_layers(monkeypatch):
    """Five layers of about thirty show the same in a fraction of the time."""
    few = ["frontend/convs.0", "frontend/project", "frontend/convs.1", "encoder/prenet.0.mlp.fc1",
           "encoder/head"]  # fmt: skip
    rank = quantizer.rank_layers
    monkeypatch.setattr(
        quantizer,
        "rank_layers",
        lambda names, *rest: rank([name for name in names if name in few], *rest),
    )


@pytest.mark.usefixtures("few_layers")
def test_the_gate_refuses_a_quantized_first_layer_and_names_it(fp32_only, speech):
    before = snapshot(fp32_only)
    four = Calibration(speech.clips[::4], speech.source)
    with pytest.raises(GateError, match=r"lost too much: .*most: frontend/convs\.0"):
        add_int8(fp32_only, four, keep_float=())
    assert snapshot(fp32_only) == before


@pytest.mark.usefixtures("few_layers")
def test_the_search_finds_the_first_layer_and_nothing_else(fp32_only, speech):
    variant = add_int8(fp32_only, speech, keep_float=(), search=True)
    assert variant.recipe["keep_float"] == ["frontend/convs.0"]


@pytest.fixture
def outliers(fp32_only):
    """The trained model with two channels 400 times as large before the projection and as much
    smaller weights after it: the same function, hard to quantize."""
    path = fp32_only / "fp32" / "frontend.onnx"
    model = onnx.load(path)
    graph, constants = Graph(model), {tensor.name: tensor for tensor in model.graph.initializer}
    projection = next(node for node in graph.nodes if node.name == "project")
    norm = graph.producer[projection.input[0]]
    assert norm.op_type == "LayerNormalization"
    for name, factor in {
        norm.input[1]: 400,
        norm.input[2]: 400,
        projection.input[1]: 1 / 400,
    }.items():
        values = onnx.numpy_helper.to_array(constants[name]).copy()
        values[[3, 77]] *= np.float32(factor)  # [channels], or [channels, outputs]
        constants[name].CopyFrom(onnx.numpy_helper.from_array(values, name))
    onnx.save(model, path)
    manifest = open_bundle(fp32_only).manifest
    fp32 = dataclasses.replace(manifest.variants["fp32"], files=variant_files(fp32_only, "fp32"))
    manifest = dataclasses.replace(manifest, variants={"fp32": fp32})
    (fp32_only / "bundle.json").write_text(manifest.to_json(), encoding="utf-8")
    return fp32_only


@pytest.mark.usefixtures("few_layers")
def test_outlier_channels_are_refused_and_found(outliers, speech, example, small_bundle):
    exact = Recognizer.load(outliers, precision="fp32").recognize(example)
    plain = Recognizer.load(small_bundle, precision="fp32").recognize(example)
    assert exact.scores == pytest.approx(plain.scores, abs=1e-3)
    with pytest.raises(GateError, match=r"most: frontend/project"):
        add_int8(outliers, speech)
    variant = add_int8(outliers, speech, search=True)
    assert variant.recipe["keep_float"] == ["frontend/convs.0", "frontend/project"]
    assert variant.evidence["agreement"] >= 0.98


def test_a_variant_that_gives_nan_is_refused(fp32_only, speech, monkeypatch):
    real = quantizer.convert_graphs

    def damaged(graphs):
        converted = real(graphs)
        for tensor in converted["encoder"].graph.initializer:
            if tensor.data_type == onnx.TensorProto.FLOAT16 and len(tensor.dims) == 2:
                tensor.raw_data = np.full(tensor.dims, np.nan, np.float16).tobytes()
        return converted

    monkeypatch.setattr(quantizer, "convert_graphs", damaged)
    with pytest.raises(GateError, match=r"fp16 lost too much: embedding cosine nan.*as it was"):
        add_fp16(fp32_only, speech)


def test_a_bundle_without_fp32(fp32_only, speech):
    manifest = open_bundle(fp32_only).manifest
    renamed = dataclasses.replace(manifest, variants={"fp16": manifest.variants["fp32"]})
    (fp32_only / "bundle.json").write_text(renamed.to_json(), encoding="utf-8")
    with pytest.raises(VariantNotFoundError, match="no fp32 variant"):
        add_int8(fp32_only, speech)
