"""The description of the service, its health, its metrics and its documentation."""

import re
import shutil

from serving import serving

from emotion2vec_edge.engine import open_bundle
from emotion2vec_edge.engine.settings import ModelSettings
from emotion2vec_edge.engine.version import __version__


def test_the_model_and_the_features(running, recognizer):
    content = running.http.get("/v1/models").json()
    (model,) = content["models"]
    assert model["name"] == recognizer.bundle.manifest.name
    assert [label["id"] for label in model["labels"]] == list(recognizer.labels)
    assert "生气" in [label["display"] for label in model["labels"]]
    assert content["feedback"] is True
    assert content["version"] == __version__
    assert content["upload_bytes"] == 20_000_000
    assert {"json", "csv", "srt", "rttm"} <= set(content["formats"])


def test_probes(running):
    assert running.http.get("/health/live").json() == {"status": "live"}
    assert running.http.get("/health/ready").json() == {"status": "ready"}


def test_a_model_that_cannot_be_loaded_is_not_ready(tmp_path, caplog):
    folder = tmp_path / "model"
    shutil.copytree(open_bundle().folder, folder)
    graph = folder / "fp32" / "encoder.onnx"
    whole = graph.read_bytes()
    graph.write_bytes(whole[:-1])
    with serving(model=ModelSettings(str(folder), precision="fp32")) as one:
        for _ in range(3):
            answer = one.http.get("/health/ready")
            assert (answer.status_code, answer.json()) == (503, {"status": "failed"})
        assert one.http.get("/v2/health/ready").status_code == 503
        assert one.http.get("/health/live").status_code == 200
        assert [record.message for record in caplog.records].count(
            "the model cannot be loaded"
        ) == 1
        graph.write_bytes(whole)
        assert one.http.get("/health/ready").json() == {"status": "ready"}


def test_metrics_have_names_that_are_recommended(running, example):
    running.http.post("/v1/audio/emotions", content=example.read_bytes())
    running.http.post("/v1/audio/emotions", content=b"")
    text = running.http.get("/metrics").text
    for name in ("http_server_request_duration_seconds_bucket", "e2v_inference_seconds_sum",
                 "e2v_queue_depth", "e2v_queue_wait_seconds_count", "e2v_audio_seconds_total",
                 "e2v_stream_sessions", "e2v_stream_windows_dropped_total", "e2v_rejections_total",
                 "e2v_results_total", "e2v_jobs", "process_resident_memory_bytes"):  # fmt: skip
        assert re.search(rf"^{name}[ {{]", text, re.MULTILINE), name
    assert 'le="120.0"' in text


def test_what_clients_make_up_is_no_label(running):
    for number in range(3):
        running.http.request(f"MADE{number}", f"/made-up-{number}")
    assert "made" not in running.http.get("/metrics").text.lower()


def test_an_address_that_is_none_is_a_problem(running):
    for method, path, status in (("GET", "/none", 404), ("GET", "/v1/audio/emotions", 405),
                                 ("DELETE", "/v1/models", 405)):  # fmt: skip
        answer = running.http.request(method, path)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status


def test_the_documentation_is_from_here(running):
    page = running.http.get("/docs").text
    assert "<script" not in page
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page)
    document = running.http.get("/openapi.json").json()
    for path in document["paths"]:
        assert path.replace("{", "{") in page, path
    emotions = document["paths"]["/v1/audio/emotions"]["post"]
    assert {"audio/*", "multipart/form-data"} < set(emotions["requestBody"]["content"])
    assert "application/problem+json" in emotions["responses"]["413"]["content"]
    assert {"window", "hop", "peaks", "turns"} <= {
        parameter["name"] for parameter in emotions["parameters"]
    }
