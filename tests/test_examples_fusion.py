"""The adapters in examples/ give rows that e2v fuse takes, from tiny models made here."""

import importlib.util
import json
import sys
import types
from pathlib import Path

import av
import numpy as np
import pytest

from emotion2vec_edge.engine.fusion import align, fuse, label_map, read_modality
from emotion2vec_edge.engine.fusion.pooling import FusionWeights

onnx = pytest.importorskip("onnx", reason="SKIPPED LOUDLY: onnx is not installed")

FOLDER = Path(__file__).resolve().parent.parent / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def save(path, nodes, inputs, weights):
    graph = onnx.helper.make_graph(
        nodes, "tiny", inputs,
        [onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, [1, None])],
        [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()],
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, path)


@pytest.fixture
def text_model(tmp_path):
    """A model whose logits are the mean of a row for each token."""
    rows = np.zeros((100, 3), np.float32)
    rows[7] = [4, 0, 0]
    rows[8] = [0, 4, 0]
    ids = onnx.helper.make_tensor_value_info("input_ids", onnx.TensorProto.INT64, [1, None])
    nodes = [
        onnx.helper.make_node("Gather", ["rows", "input_ids"], ["found"]),
        onnx.helper.make_node("ReduceMean", ["found"], ["logits"], axes=[1], keepdims=0),
    ]
    save(tmp_path / "model.onnx", nodes, [ids], {"rows": rows})
    names = {"0": "joy", "1": "grief", "2": "neutral"}
    (tmp_path / "config.json").write_text(json.dumps({"id2label": names}))
    return tmp_path


def test_the_words_of_turns_are_scored(text_model, monkeypatch, capsys, tmp_path):
    class Tokenizer:
        @staticmethod
        def from_file(path):
            assert path.endswith("tokenizer.json")
            return Tokenizer()

        @staticmethod
        def encode(text):
            ids = [7 if word == "hurray" else 8 for word in text.split()]
            return types.SimpleNamespace(ids=ids, attention_mask=[1] * len(ids), type_ids=ids)

    monkeypatch.setitem(sys.modules, "tokenizers", types.SimpleNamespace(Tokenizer=Tokenizer))
    speech = tmp_path / "speech.json"
    scores = {"happy": 0.4, "neutral": 0.3, "sad": 0.3}
    turns = [
        {"start": 0.0, "end": 1.0, "text": "hurray", "scores": scores},
        {"start": 1.0, "end": 2.0, "text": None, "scores": scores},
        {"start": 2.0, "end": 3.0, "text": "alas alas", "scores": scores},
    ]
    speech.write_text(json.dumps({"file": "call.wav", "turns": turns}))
    example("fuse_text").main(text_model, speech)
    (tmp_path / "text.jsonl").write_text(capsys.readouterr().out)
    heard, text = read_modality(speech), read_modality(tmp_path / "text.jsonl")
    assert len(text) == 2
    aligned = align({"speech": heard, "text": text}, {"text": label_map("goemotions28")})
    fused = fuse(aligned, FusionWeights({}))
    assert [span.emotion for span in fused] == ["happy", "happy", "sad"]
    assert fused[1].contributions["text"] == 0


def test_the_pictures_of_a_video_are_scored(tmp_path, capsys):
    """Bright pictures are happy, dark ones sad."""
    video = tmp_path / "video.mkv"
    with av.open(str(video), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        for number in range(20):
            level = 20 if number < 10 else 235
            picture = np.full((64, 64, 3), level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    given = onnx.helper.make_tensor_value_info("face", onnx.TensorProto.FLOAT, [1, 3, 8, 8])
    nodes = [
        onnx.helper.make_node("ReduceMean", ["face"], ["level"], axes=[1, 2, 3], keepdims=0),
        onnx.helper.make_node("Unsqueeze", ["level", "last"], ["column"]),
        onnx.helper.make_node("MatMul", ["column", "slope"], ["product"]),
        onnx.helper.make_node("Add", ["product", "offset"], ["logits"]),
    ]
    weights = {
        "last": np.array([1], np.int64),
        "slope": np.float32([[8, 0]]),
        "offset": np.float32([-4, 0]),
    }
    save(tmp_path / "model.onnx", nodes, [given], weights)
    example("fuse_face").main(video, tmp_path / "model.onnx", ["happy", "sad"])
    (tmp_path / "face.jsonl").write_text(capsys.readouterr().out)
    spans = read_modality(tmp_path / "face.jsonl")
    assert [round(span.start, 1) for span in spans] == [0.0, 0.5, 1.0, 1.5]
    assert [span.scores["happy"] > 0.5 for span in spans] == [False, False, True, True]
    assert spans[0].file == str(video)
