"""`/v1/store`: a store that the service searches and draws, and never changes."""

import numpy as np
import pytest
from serving import EXACT, serving

from emotion2vec_edge.engine import example_recordings, open_bundle
from emotion2vec_edge.engine.embeddings.clips import StoredClip
from emotion2vec_edge.engine.embeddings.search import nearest_clips
from emotion2vec_edge.engine.embeddings.space import Space
from emotion2vec_edge.engine.embeddings.store import Store
from emotion2vec_edge.engine.errors import StoreError
from emotion2vec_edge.engine.serve.service import Service
from emotion2vec_edge.engine.serve.settings import ServeSettings

SEARCH, MAP = "/v1/store/search", "/v1/store/map"
COLD = example_recordings()[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, recognizer):
    """A store of the examples, whole and in two turns each."""
    folder = tmp_path_factory.mktemp("served") / "calls"
    store = Store.open(folder, open_bundle().manifest)
    vectors, clips = [], []
    for number, path in enumerate(example_recordings()):
        whole = recognizer.encode(path).embedding()
        for turn in (None, 0, 1):
            vectors.append(whole * (1 if turn is None else 1 + 0.01 * turn))
            start = None if turn is None else float(turn)
            end = None if start is None else start + 1
            clips.append(
                StoredClip(f"calls/{path.name}", start, end, emotion=("sad", "happy")[number % 2],
                           confidence=0.5, speaker=f"s{number}")
            )  # fmt: skip
    store.append(np.stack(vectors), clips)
    return folder


@pytest.fixture(scope="module")
def searched(folder):
    with serving(store=folder, max_seconds=30.0) as one:
        yield one


def test_a_recording_finds_what_sounds_like_it(searched, folder, recognizer):
    answer = searched.http.post(SEARCH, content=COLD.read_bytes(), params={"top": 4})
    assert answer.status_code == 200, answer.text
    document = answer.json()
    space = Space.of(open_bundle())
    query = recognizer.encode(COLD).embedding()
    wanted = nearest_clips(Store(folder).read(), query, space, 4)
    assert (document["space"], document["searched"]) == (space.name, 9)
    found = [(match["index"], match["path"], match["start"]) for match in document["nearest"]]
    assert found == [(one.number, one.clip.path, one.clip.start) for one in wanted]
    for one, other in zip(document["nearest"], wanted, strict=True):
        assert one["cosine"] == pytest.approx(other.cosine, abs=1e-5)
        assert one["same_emotion"] == pytest.approx(other.same_emotion, abs=1e-5)


def test_the_search_is_narrowed_by_query_and_form(searched):
    files = {"file": ("a.flac", COLD.read_bytes())}
    document = searched.http.post(SEARCH, files=files, data={"emotion": "happy"}).json()
    assert document["searched"] == 3
    assert {match["emotion"] for match in document["nearest"]} == {"happy"}
    nothing = searched.http.post(SEARCH, files=files, params={"label": "sad"}).json()
    assert (nothing["searched"], nothing["nearest"]) == (0, [])


def test_the_map_is_that_of_the_store(searched, folder):
    before = sorted(path.name for path in folder.iterdir())
    document = searched.http.get(MAP).json()
    assert len(document["x"]) == 9
    assert document["title"].startswith("calls: 9 embeddings")
    assert document["sounds"] is None
    assert document["groups"]["speaker"]["names"] == ["s0", "s1", "s2"]
    assert sorted(path.name for path in folder.iterdir()) == before  # it is only read
    assert searched.http.get("/v1/models").json()["store"] == 9


def test_the_page_of_the_map_has_nothing_inline(searched):
    answer = searched.http.get("/page/map.html")
    assert "'unsafe-inline'" not in answer.headers["content-security-policy"]
    for inline in ("<style", "<script>", "http-equiv", " style=", " onclick="):
        assert inline not in answer.text
    assert searched.http.get("/page/map.css").headers["content-type"].startswith("text/css")
    script = searched.http.get("/page/map.js")
    assert "const data = await points();" in script.text
    assert searched.http.head("/page/map.js").status_code == 200


@pytest.mark.parametrize(
    ("params", "files", "status", "words"),
    [
        ({"top": 0}, 1, 422, "top"),
        ({"top": 1001}, 1, 422, "top"),
        ({}, 2, 400, "one recording"),
    ],
)
def test_what_cannot_be_searched_is_refused(searched, params, files, status, words):
    parts = [("file", (f"{n}.flac", COLD.read_bytes())) for n in range(files)]
    answer = searched.http.post(SEARCH, files=parts, params=params)
    assert (answer.status_code, words in answer.json()["detail"]) == (status, True)
    assert searched.http.post(SEARCH, content=b"no sound").status_code == 422


def test_a_service_without_a_store_says_so(running):
    for answer in (running.http.post(SEARCH, content=COLD.read_bytes()), running.http.get(MAP)):
        assert (answer.status_code, "--store" in answer.json()["detail"]) == (404, True)
    assert running.http.get("/v1/models").json()["store"] is None


def test_a_store_that_cannot_be_used_is_told_at_the_start(tmp_path):
    with pytest.raises(StoreError, match="no store of embeddings"):
        Service(ServeSettings(model=EXACT, store=tmp_path))


def test_a_store_of_two_has_no_map(tmp_path):
    store = Store.open(tmp_path / "two", open_bundle().manifest)
    store.append(np.eye(2, store.dim, dtype=np.float32), [StoredClip("a"), StoredClip("b")])
    with serving(store=store.path) as one:
        answer = one.http.get(MAP)
        assert (answer.status_code, "3 to 200,000" in answer.json()["detail"]) == (422, True)
        found = one.http.post(SEARCH, content=COLD.read_bytes()).json()
        assert len(found["nearest"]) == 2
