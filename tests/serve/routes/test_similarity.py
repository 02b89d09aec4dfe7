"""`POST /v1/embeddings/compare`: the space of the model, over HTTP."""

import numpy as np
import pytest

from emotion2vec_edge.engine import example_recordings, open_bundle
from emotion2vec_edge.engine.embeddings.space import Space

COMPARE = "/v1/embeddings/compare"


@pytest.fixture(scope="module")
def vectors(recognizer):
    return np.stack([recognizer.encode(path).embedding() for path in example_recordings()])


def test_the_nearest_are_those_of_the_space(running, vectors):
    answer = running.http.post(COMPARE, json={"embeddings": vectors.tolist(), "reference": 1})
    assert answer.status_code == 200, answer.text
    space = Space.of(open_bundle())
    document = answer.json()
    assert document["space"] == space.name
    wanted = sorted(((space.cosine(vectors[1], vectors[i]), i) for i in (0, 2)), reverse=True)
    for found, (cosine, index) in zip(document["nearest"], wanted, strict=True):
        assert found["index"] == index
        assert found["cosine"] == pytest.approx(cosine, abs=1e-5)
        assert found["same_emotion"] == pytest.approx(space.same_emotion(cosine), abs=1e-5)
        raw = Space.of(open_bundle(), "raw").cosine(vectors[1], vectors[index])
        assert found["raw_cosine"] == pytest.approx(raw, abs=1e-5)


def test_a_map_keeps_near_what_is_near(running, vectors, rng):
    near = vectors[0] + rng.normal(0, 1e-3, vectors.shape[1])
    document = running.http.post(
        COMPARE, json={"embeddings": [*vectors.tolist(), near.tolist()]}
    ).json()
    places = np.array(document["map"])
    assert places.shape == (4, 2)
    distances = np.linalg.norm(places - places[0], axis=1)
    assert distances[3] < 0.05 * min(distances[1:3])
    assert document["nearest"][0]["index"] == 3


def test_one_alone_has_no_neighbours(running, vectors):
    document = running.http.post(COMPARE, json={"embeddings": vectors[:1].tolist()}).json()
    assert document["nearest"] == []
    assert document["map"] == [[0, 0]]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"embeddings": []}', "embeddings"),
        (b'{"embeddings": [[1, 2], [1]]}', "of one model"),
        (b'{"embeddings": [[1, 2], [1, 2]]}', "give [count, "),
        (b'{"embeddings": [[NaN]]}', "embeddings"),
        (b'{"embeddings": [[1]], "reference": 1}', "reference is 1; give 0 to 0"),
        (b'{"embeddings": [[1]], "reference": -1}', "reference"),
        (b"RIFF", "the request"),
        (b'{"vectors": [[1]]}', "vectors"),
    ],
)
def test_what_cannot_be_compared_is_refused(running, body, words):
    answer = running.http.post(COMPARE, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert words in answer.json()["detail"]
