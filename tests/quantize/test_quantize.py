"""Variants of a bundle: quantized as they should be, judged, refused, searched, written whole."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import onnx
import pytest
import soundfile
import torch
import yaml

from emotion2vec_edge.engine import Recognizer, open_bundle
from emotion2vec_edge.engine.errors import (
    GateError,
    OptionError,
    OutputError,
    VariantNotFoundError,
)
from emotion2vec_edge.engine.runtime.providers import cpu
from emotion2vec_edge.export import hub
from emotion2vec_edge.export.exporter import ExportSettings, export_bundle
from emotion2vec_edge.quantize import quantizer
from emotion2vec_edge.quantize.calibration import Calibration, load_calibration
from emotion2vec_edge.quantize.graph import layers, operators
from emotion2vec_edge.quantize.int8 import Int8Settings, all_layers, quantize_graphs
from emotion2vec_edge.quantize.quantizer import add_fp16, add_int8
from emotion2vec_edge.quantize.search import smallest_exclusion

VNNI = Int8Settings(target="avx512_vnni")


@pytest.fixture
def fp32_only(small_bundle, tmp_path):
    """A trained model with emotion2vec's own front-end, in its fp32 variant alone."""
    folder = tmp_path / "model"
    shutil.copytree(small_bundle, folder)
    shutil.rmtree(folder / "int8")
    manifest = open_bundle(folder).manifest
    manifest = dataclasses.replace(manifest, variants={"fp32": manifest.variants["fp32"]})
    (folder / "bundle.json").write_text(manifest.to_json(), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def speech():
    """A quarter of the built-in calibration speech: enough for tests."""
    whole = load_calibration(None)
    return Calibration(whole.clips[::4], whole.source)


@pytest.fixture(scope="module")
def graphs(small_bundle):
    opened = open_bundle(small_bundle)
    return {name: onnx.load(opened.graph("fp32", name)) for name in ("frontend", "encoder")}


def snapshot(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_every_product_but_the_first_is_quantized_and_fused(graphs):
    names = all_layers(graphs)
    assert len(names) == 8 + 6 * 4 + 1
    quantized = quantize_graphs(graphs, VNNI, heads=4)
    found = {name: operators(graph) for name, graph in quantized.items()}
    total = sum(
        counts.get(operator, 0)
        for counts in found.values()
        for operator in ("MatMulIntegerToFloat", "DynamicQuantizeMatMul")
    )
    assert total == len(names) - 1
    assert found["frontend"]["MatMul"] == 1
    assert found["encoder"]["MultiHeadAttention"] == 6
    assert found["encoder"]["Conv"] == 5
    assert "Erf" not in found["encoder"]
    assert found["frontend"]["Gelu"] == 7


def test_windows_are_gathered_in_uint8(graphs):
    frontend = quantize_graphs(graphs, VNNI, heads=4)["frontend"]
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


def test_the_given_graphs_stay_as_they_are(graphs):
    before = {name: graph.SerializeToString() for name, graph in graphs.items()}
    quantize_graphs(graphs, VNNI, heads=4)
    assert {name: graph.SerializeToString() for name, graph in graphs.items()} == before


def test_seven_bits_where_sixteen_bit_sums_would_overflow(graphs):
    for target, most in (("avx2", 64), ("avx512", 64), ("avx512_vnni", 127), ("arm64", 127)):
        encoder = quantize_graphs(graphs, Int8Settings(target=target), heads=4)["encoder"]
        weights = [onnx.numpy_helper.to_array(t) for t in encoder.graph.initializer]
        largest = max(abs(w.astype(int)).max() for w in weights if w.dtype == np.int8)
        assert most - 2 <= largest <= most


def test_an_unknown_layer_lists_the_known(graphs):
    with pytest.raises(OptionError, match="no layer encoder/blocks.99.*encoder/blocks.0.fc1"):
        quantize_graphs(graphs, Int8Settings(keep_float=("encoder/blocks.99",)), heads=4)


def test_int8_is_added_and_taken_by_default(fp32_only, speech, example):
    variant = add_int8(fp32_only, speech, VNNI)
    assert variant.evidence["agreement"] >= 0.98
    assert variant.evidence["mean_shift"] <= 0.01
    assert variant.recipe["keep_float"] == ["frontend/convs.0"]
    assert variant.bytes < 0.4 * open_bundle(fp32_only).variant("fp32").bytes
    ours = Recognizer.load(fp32_only, precision="int8").recognize(example)
    exact = Recognizer.load(fp32_only, precision="fp32").recognize(example)
    assert ours.emotion == exact.emotion
    assert ours.scores == pytest.approx(exact.scores, abs=0.03)
    assert not list(fp32_only.glob(".*"))


def test_the_default_on_a_cpu_is_int8_where_it_is_exact(monkeypatch):
    monkeypatch.setattr(cpu, "sums_int8_exactly", lambda: True)
    assert Recognizer.load(provider="cpu").precision == "int8"
    monkeypatch.setattr(cpu, "sums_int8_exactly", lambda: False)
    assert Recognizer.load(provider="cpu").precision == "fp32"


def with_blocks(recognizer, seconds):
    chunking = dataclasses.replace(recognizer.encoder.chunking, block=seconds)
    encoder = dataclasses.replace(recognizer.encoder, chunking=chunking)
    return dataclasses.replace(recognizer, encoder=encoder)


def test_front_end_blocks_change_little_in_int8(example_samples):
    recognizer = Recognizer.load(precision="int8")
    blocks = with_blocks(recognizer, 1.0).recognize(example_samples, 16_000).scores
    whole = with_blocks(recognizer, 1e6).recognize(example_samples, 16_000).scores
    assert blocks == pytest.approx(whole, abs=0.01)


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
    # Named on a CPU it runs, by casts; nobody gets it there unasked.
    assert Recognizer.load(fp32_only, provider="cpu").precision == "fp32"
    assert Recognizer.load(fp32_only, precision="fp16", provider="cpu").labels


def test_the_gate_refuses_a_quantized_first_layer_and_names_it(fp32_only, speech):
    before = snapshot(fp32_only)
    with pytest.raises(GateError, match=r"lost too much: .*most: frontend/convs\.0"):
        add_int8(fp32_only, speech, Int8Settings("avx512_vnni", keep_float=()))
    assert snapshot(fp32_only) == before


def test_the_search_finds_the_first_layer_and_nothing_else(fp32_only, speech):
    variant = add_int8(fp32_only, speech, Int8Settings("avx512_vnni", keep_float=()), search=True)
    assert variant.recipe["keep_float"] == ["frontend/convs.0"]


@pytest.fixture(scope="module")
def outliers(small_checkpoint, tmp_path_factory):
    """The trained model with two channels 400 times as large before the projection and as much
    smaller weights after it: the same function, hard to quantize."""
    folder = tmp_path_factory.mktemp("outliers")
    document = yaml.safe_load((small_checkpoint / "config.yaml").read_text())
    content = torch.load(small_checkpoint / "model.pt", weights_only=True)
    prefix = "modality_encoders.AUDIO.project_features."
    weights = content["model"]
    for channel in (3, 77):
        weights[f"{prefix}1.weight"][channel] *= 400
        weights[f"{prefix}1.bias"][channel] *= 400
        weights[f"{prefix}2.weight"][:, channel] /= 400
    (folder / "c").mkdir()
    (folder / "c" / "config.yaml").write_text(yaml.safe_dump(document))
    shutil.copy(small_checkpoint / "tokens.txt", folder / "c")
    torch.save({"model": weights}, folder / "c" / "model.pt")
    export_bundle(hub.resolve(str(folder / "c"), offline=True), ExportSettings(folder / "bundle"))
    return folder / "bundle"


def test_outlier_channels_are_refused_and_found(outliers, speech, example, small_bundle):
    exact = Recognizer.load(outliers, precision="fp32").recognize(example)
    plain = Recognizer.load(small_bundle, precision="fp32").recognize(example)
    assert exact.scores == pytest.approx(plain.scores, abs=1e-3)
    with pytest.raises(GateError, match=r"most: frontend/project"):
        add_int8(outliers, speech, VNNI)
    variant = add_int8(outliers, speech, VNNI, search=True)
    assert variant.recipe["keep_float"] == ["frontend/convs.0", "frontend/project"]
    assert variant.evidence["agreement"] >= 0.98


# The gate's arithmetic.


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


@pytest.mark.parametrize("needed", [{"a"}, {"d"}, {"a", "c"}, {"b", "c", "g"}, set("abcdefgh")])
def test_the_search_leaves_only_what_is_needed(needed):
    tried = []

    def passes(kept):
        tried.append(kept)
        return needed <= set(kept)

    found = smallest_exclusion("abcdefgh", passes, lambda *_: None)
    assert set(found) == needed


def test_a_search_without_an_answer():
    assert smallest_exclusion("abc", lambda _: False, lambda *_: None) is None


# Bad input.


def test_a_bundle_without_fp32(fp32_only, speech):
    manifest = open_bundle(fp32_only).manifest
    renamed = dataclasses.replace(manifest, variants={"fp16": manifest.variants["fp32"]})
    (fp32_only / "bundle.json").write_text(renamed.to_json(), encoding="utf-8")
    with pytest.raises(VariantNotFoundError, match="no fp32 variant"):
        add_int8(fp32_only, speech, VNNI)


def test_calibration_without_audio(tmp_path):
    with pytest.raises(OptionError, match="0 readable recordings of 0"):
        load_calibration(tmp_path)
    with pytest.raises(OptionError, match="no such manifest"):
        load_calibration(tmp_path / "gone")
    (tmp_path / "m.csv").write_text("file,emotion\n")
    with pytest.raises(OptionError, match="columns path,label"):
        load_calibration(tmp_path / "m.csv")
    (tmp_path / "m.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(OptionError):
        load_calibration(tmp_path / "m.csv")
    for index in range(9):
        (tmp_path / f"{index}.wav").write_text("no audio")
    with pytest.raises(OptionError, match="0 readable recordings of 9"):
        load_calibration(tmp_path)


def test_calibration_from_a_folder_and_a_manifest(tmp_path, example_samples):
    with (tmp_path / "m.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        for index in range(12):
            soundfile.write(tmp_path / f"{index}.flac", example_samples[: 8_000 + index], 16_000)
            writer.writerow([f"{index}.flac", "sad", "train" if index == 0 else "test"])
    assert len(load_calibration(tmp_path).clips) == 12
    labelled = load_calibration(tmp_path / "m.csv")
    assert len(labelled.clips) == 11
    assert labelled.clips[0].label == "sad"
    assert len(load_calibration(tmp_path, most=10).clips) == 10


def test_calibration_takes_the_part_that_a_manifest_names(tmp_path, example_samples):
    """EmoBox names parts of files; what has no frame in it says nothing."""
    soundfile.write(tmp_path / "long.flac", example_samples, 16_000)
    (tmp_path / "label_map.json").write_text('{"s": "Sad"}')
    rows = [
        {"key": f"x-{i}", "dataset": "x", "wav": "long.flac", "emo": "s",
         "start_time": 0.2 * i, "end_time": 0.2 * i + (0.01 if i == 0 else 0.5)}
        for i in range(10)
    ]  # fmt: skip
    manifest = tmp_path / "x.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    clips = load_calibration(manifest).clips
    assert len(clips) == 9
    np.testing.assert_array_equal(clips[0].samples, example_samples[3_200:11_200])


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["variant_files", "write_file"])
def test_a_full_disk_or_an_interruption_leaves_the_bundle_as_it_was(
    fp32_only, speech, monkeypatch, error, step
):
    add_int8(fp32_only, speech, Int8Settings("avx512_vnni", ("frontend/convs.0", "encoder/head")))
    before = snapshot(fp32_only)

    def fail(*_args):
        raise error

    monkeypatch.setattr(quantizer, step, fail)
    with pytest.raises(OutputError if isinstance(error, OSError) else KeyboardInterrupt):
        add_int8(fp32_only, speech, VNNI)
    assert snapshot(fp32_only) == before


def test_quantizing_twice_replaces_the_variant(fp32_only, speech):
    add_int8(fp32_only, speech, VNNI)
    add_int8(fp32_only, speech, Int8Settings("avx512_vnni", ("frontend/convs.0", "encoder/head")))
    assert open_bundle(fp32_only).variant("int8").recipe["keep_float"][-1] == "encoder/head"
    Recognizer.load(fp32_only, precision="int8")
    assert sorted(p.name for p in fp32_only.iterdir() if p.is_dir()) == ["fp32", "int8"]


def test_layers_are_named_after_their_modules(graphs):
    assert layers(graphs["frontend"])[1] == "convs.1"
    assert "blocks.3.fc2" in layers(graphs["encoder"])


def test_the_embedded_model_keeps_its_filterbank_in_float():
    variant = open_bundle("emotion2vec_small").variant("int8")
    assert variant.recipe["keep_float"] == ["frontend/convs.0", "frontend/convs.1"]
    assert variant.evidence["agreement"] >= 0.98
    assert variant.bytes < 12 * 2**20
