"""The KServe v2 protocol: by tritonclient's HTTP client, and byte by byte."""

import base64
import json
import struct

import numpy as np
import pytest
from serving import serving

from emotion2vec_edge.engine import example_recordings


@pytest.fixture(scope="module")
def model(recognizer):
    return f"/v2/models/{recognizer.bundle.manifest.name}"


@pytest.fixture(scope="module")
def triton():
    return pytest.importorskip(
        "tritonclient.http", reason="SKIPPED LOUDLY: pip install 'tritonclient[http]'"
    )


@pytest.fixture
def client(triton, running):
    one = triton.InferenceServerClient(f"127.0.0.1:{running.port}")
    yield one
    one.close()


def output(answer, name):
    return next(tensor for tensor in answer["outputs"] if tensor["name"] == name)


def test_a_client_of_triton_finds_the_model(client, recognizer):
    name = recognizer.bundle.manifest.name
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(name)
    assert client.is_model_ready(name, "1")
    assert not client.is_model_ready("other")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    metadata = client.get_model_metadata(name)
    assert [tensor["name"] for tensor in metadata["inputs"]] == ["audio", "waveform", "rate"]


@pytest.mark.parametrize("binary", [True, False])
def test_a_client_of_triton_sends_files(triton, client, recognizer, binary):
    paths = example_recordings()
    given = triton.InferInput("audio", [len(paths)], "BYTES")
    given.set_data_from_numpy(np.array([path.read_bytes() for path in paths], object))
    names = ["emotion", "scores", "labels", "embedding"]
    wanted = [triton.InferRequestedOutput(name, binary_data=binary) for name in names]
    answer = client.infer(recognizer.bundle.manifest.name, [given], outputs=wanted)
    expected = [recognizer.recognize(path) for path in paths]
    labels = [label.decode() if binary else label for label in answer.as_numpy("labels")]
    assert tuple(labels) == recognizer.labels
    emotions = [one.decode() if binary else one for one in answer.as_numpy("emotion")]
    assert emotions == [utterance.emotion for utterance in expected]
    scores = np.array([list(utterance.scores.values()) for utterance in expected])
    assert np.allclose(answer.as_numpy("scores"), scores, atol=1e-6)
    assert np.allclose(
        answer.as_numpy("embedding"), [utterance.embedding for utterance in expected], rtol=1e-5
    )


@pytest.mark.parametrize("binary", [True, False])
def test_a_client_of_triton_sends_a_waveform(triton, client, recognizer, example_samples, binary):
    samples = np.repeat(example_samples[:16_000], 3)  # 48 kHz, roughly
    given = triton.InferInput("waveform", [1, len(samples)], "FP32")
    given.set_data_from_numpy(samples[None], binary_data=binary)
    rate = triton.InferInput("rate", [1], "INT32")
    rate.set_data_from_numpy(np.array([48_000], np.int32))
    answer = client.infer(recognizer.bundle.manifest.name, [given, rate], request_id="7")
    expected = recognizer.recognize(samples, 48_000)
    assert np.allclose(answer.as_numpy("scores")[0], list(expected.scores.values()), atol=1e-5)
    assert answer.get_response()["id"] == "7"


def test_a_client_of_triton_shows_the_error(triton, client, recognizer):
    from tritonclient.utils import InferenceServerException

    given = triton.InferInput("audio", [1], "BYTES")
    given.set_data_from_numpy(np.array([b"no audio"], object))
    with pytest.raises(InferenceServerException, match="UndecodableAudioError: .*is it audio"):
        client.infer(recognizer.bundle.manifest.name, [given])
    with pytest.raises(InferenceServerException, match="no such model"):
        client.infer("other", [given])


def test_plain_json(running, recognizer, model, example):
    audio = base64.b64encode(example.read_bytes()).decode()
    asked = {
        "id": "a",
        "parameters": {"labels": "angry,sad", "reject_below": 1.0},
        "inputs": [{"name": "audio", "datatype": "BYTES", "shape": [1], "data": [audio]}],
        "outputs": [{"name": "emotion"}, {"name": "scores"}],
    }
    answer = running.http.post(f"{model}/versions/1/infer", json=asked)
    assert answer.status_code == 200, answer.text
    content = answer.json()
    assert (content["id"], content["model_version"]) == ("a", "1")
    assert [tensor["name"] for tensor in content["outputs"]] == ["emotion", "scores"]
    assert output(content, "emotion")["data"] == ["unknown"]
    assert output(content, "scores")["shape"] == [1, 2]


def test_nested_lists_are_waveforms(running, recognizer, model, example_samples):
    rows = [example_samples[:8_000].tolist(), example_samples[8_000:16_000].tolist()]
    asked = {
        "inputs": [{"name": "waveform", "datatype": "FP32", "shape": [2, 8_000], "data": rows}]
    }
    content = running.http.post(f"{model}/infer", json=asked).json()
    for row, samples in enumerate(rows):
        expected = recognizer.recognize(np.array(samples, np.float32), 16_000).scores
        found = np.reshape(output(content, "scores")["data"], (2, -1))[row]
        assert np.allclose(found, list(expected.values()), atol=1e-5)


AUDIO = {"name": "audio", "datatype": "BYTES", "shape": [1]}
WAVE = {"name": "waveform", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (b"", 400), (b"{", 400), (b"[]", 400), (b"{}", 400), (b"[" * 50_000, 400), (b"\xff", 400),
        ({"inputs": []}, 422),
        ({"inputs": 5}, 400),
        ({"inputs": [5]}, 400),
        ({"inputs": [{"name": "audio"}]}, 400),
        ({"inputs": [{**AUDIO, "data": ["%%%"]}]}, 400),
        ({"inputs": [{**AUDIO, "data": [5]}]}, 400),
        ({"inputs": [{**AUDIO, "data": "a"}]}, 400),
        ({"inputs": [{**AUDIO, "data": []}]}, 400),
        ({"inputs": [{**AUDIO, "data": [], "shape": [0]}]}, 422),
        ({"inputs": [{**AUDIO, "shape": [-1], "data": []}]}, 400),
        ({"inputs": [{**AUDIO, "shape": ["a"], "data": []}]}, 400),
        ({"inputs": [{**AUDIO, "parameters": {"binary_data_size": 10}}]}, 400),
        ({"inputs": [{**AUDIO, "parameters": {"binary_data_size": -1}}]}, 400),
        ({"inputs": [{**AUDIO, "datatype": "FP32", "data": [1]}]}, 422),
        ({"inputs": [{**AUDIO, "name": "sound", "data": []}]}, 422),
        ({"inputs": [{**WAVE, "shape": [1, 4]}]}, 400),
        ({"inputs": [{**WAVE, "datatype": "FP16"}]}, 422),
        ({"inputs": [{**WAVE, "datatype": "INT32"}]}, 422),
        ({"inputs": [{**WAVE, "data": ["a", "b", "c"]}]}, 400),
        ({"inputs": [{**WAVE, "shape": [1, 1, 3]}]}, 422),
        ({"inputs": [WAVE]}, 422),  # too short
        ({"inputs": [WAVE], "outputs": [{"name": "mood"}]}, 422),
        ({"inputs": [WAVE], "parameters": {"reject_below": 7}}, 422),
        ({"inputs": [WAVE, {**WAVE, "name": "rate", "shape": [3]}]}, 422),
        ({"inputs": [{**WAVE, "shape": [200, 400], "data": [0.0] * 80_000}]}, 413),
    ],
)  # fmt: skip
def test_a_damaged_request_is_refused(running, model, asked, status):
    content = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
    answer = running.http.post(f"{model}/infer", content=content)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"].endswith(answer.json()["detail"])


def binary(asked, rest, length=None):
    head = json.dumps(asked).encode()
    headers = {"Inference-Header-Content-Length": str(len(head) if length is None else length)}
    return {"content": head + rest, "headers": headers}


@pytest.mark.parametrize(
    ("rest", "size", "length"),
    [(b"\x05\x00\x00\x00abc", 7, None), (b"\x01", 1, None), (b"", 0, 999_999), (b"", 0, "x"),
     (struct.pack("<I", 3) + b"abc" + b"\xff" * 4, 11, None)],
)  # fmt: skip
def test_damaged_binary_data_is_refused(running, model, rest, size, length):
    asked = {"inputs": [{**AUDIO, "parameters": {"binary_data_size": size}}]}
    answer = running.http.post(f"{model}/infer", **binary(asked, rest, length))
    assert answer.status_code == 400, answer.text


def test_much_json_is_refused(running, model):
    answer = running.http.post(f"{model}/infer", content=b" " * (17 << 20))
    assert answer.status_code == 413
    assert "binary" in answer.json()["detail"]


def test_readiness_ends_with_the_service(model):
    with serving() as running:
        assert running.http.get("/v2/health/ready").status_code == 200
        running.service.draining.set()
        assert running.http.get("/v2/health/ready").status_code == 503
        assert running.http.get("/v2/health/live").status_code == 200
