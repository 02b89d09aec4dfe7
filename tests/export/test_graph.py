"""The exported graphs."""

import json

import onnx
from checkpoints import TINY, document, write_checkpoint

from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.export import graph, hub
from emotion2vec_edge.export.exporter import ExportSettings, export_bundle
from emotion2vec_edge.quantize.rewrites.graph import layers, load_graph


def test_the_graphs_keep_the_contract(exported):
    frontend = onnx.load(exported / "fp32" / "frontend.onnx")
    encoder = onnx.load(exported / "fp32" / "encoder.onnx")
    for model in (frontend, encoder):
        assert model.opset_import[0].version <= 18
        assert model.ir_version <= 10
        assert all(opset.domain in ("", "ai.onnx") for opset in model.opset_import)
        props = {p.key: p.value for p in model.metadata_props}
        assert json.loads(props["labels"]) == ["angry", "disgusted", "happy", "unknown"]
        assert props["sample_rate"] == "16000"

    def axes(values):
        return {
            v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim]
            for v in values
        }

    assert axes(frontend.graph.input) == {"waveform": ["batch", "samples"]}
    assert axes(frontend.graph.output) == {"features": ["batch", "frames", 32]}
    assert axes(encoder.graph.input) == {"features": ["batch", "frames", 32], "lengths": ["batch"]}
    assert axes(encoder.graph.output) == {
        "frames": ["batch", "frames", 32],
        "logits": ["batch", "frames", 4],
    }


def test_no_path_of_the_exporting_machine_is_left(exported):
    for path in (exported / "fp32").iterdir():
        content = path.read_bytes()
        assert b"site-packages" not in content
        assert b".py" not in content


def test_large_weights_go_beside_the_graph(tmp_path, monkeypatch, example):
    """Torch is compared with graphs that read them there."""
    monkeypatch.setattr(graph, "EXTERNAL_DATA_BYTES", 10_000)
    small = {"depth": 0, "model_depth": 0, "prenet_depth": 0, "conv_pos_depth": 1}
    doc = document(feature_encoder_spec="[(32, 400, 320)]", **small)
    write_checkpoint(tmp_path / "c", doc)
    export_bundle(hub.resolve(str(tmp_path / "c"), offline=True), ExportSettings(tmp_path / "out"))
    assert (tmp_path / "out" / "fp32" / "encoder.onnx.data").stat().st_size > 10_000
    recognizer = Recognizer.load(tmp_path / "out")
    assert recognizer.recognize(example).emotion in recognizer.labels


def test_weights_that_16_bits_hold_take_16_bits(tmp_path, example):
    """Those of a checkpoint that was rounded to float16; quantization sees float32."""
    sizes, found = {}, {}
    for name, bits in (("whole", 32), ("rounded", 16)):
        write_checkpoint(
            tmp_path / name,
            TINY,
            wrap=lambda weights, bits=bits: {
                key: value.half().float() if bits == 16 else value for key, value in weights.items()
            },
        )
        out = tmp_path / f"{name}_bundle"
        export_bundle(hub.resolve(str(tmp_path / name), offline=True), ExportSettings(out))
        path = out / "fp32" / "encoder.onnx"
        sizes[name], found[name] = path.stat().st_size, load_graph(path)
        assert 0 < max(Recognizer.load(out).recognize(example).scores.values()) < 1
    assert sizes["rounded"] < 0.7 * sizes["whole"]
    assert layers(found["rounded"]) == layers(found["whole"])
    kinds = {tensor.data_type for tensor in found["rounded"].graph.initializer}
    assert onnx.TensorProto.FLOAT16 not in kinds
