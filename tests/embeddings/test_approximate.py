"""The approximate index: as good as the exact search, and in step with its store."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from emotion2vec_edge.engine import open_bundle
from emotion2vec_edge.engine.embeddings import approximate as module
from emotion2vec_edge.engine.embeddings.approximate import ApproximateIndex
from emotion2vec_edge.engine.embeddings.clips import StoredClip
from emotion2vec_edge.engine.embeddings.search import nearest_clips
from emotion2vec_edge.engine.embeddings.space import Space
from emotion2vec_edge.engine.embeddings.store import Store
from emotion2vec_edge.engine.errors import MissingExtraError, OptionError, StoreError

pytestmark = pytest.mark.skipif(  # imported first, it would break ONNX Runtime
    importlib.util.find_spec("usearch") is None, reason="SKIPPED LOUDLY: usearch is not installed"
)

MANIFEST = open_bundle().manifest
DIM = MANIFEST.architecture.embed_dim
EMOTIONS = ("angry", "happy", "sad")


def speech(count, seed=0):
    """Emotions and voices in 24 of the directions, one large mean, and a little noise."""
    rng, world = np.random.default_rng(seed), np.random.default_rng(99)
    basis, emotions = world.standard_normal((24, DIM)), 1.5 * world.standard_normal((9, 24))
    voices = world.standard_normal((200, 24))
    inner = emotions[rng.integers(9, size=count)] + voices[rng.integers(200, size=count)]
    inner += 0.7 * rng.standard_normal((count, 24))
    vectors = 5 + inner @ basis + 0.3 * rng.standard_normal((count, DIM))
    return vectors.astype(np.float32)


def add(store, vectors, name="a"):
    clips = [StoredClip(f"{name}{n}", emotion=EMOTIONS[n % 3]) for n in range(len(vectors))]
    store.append(vectors, clips)


def filled(folder, *sizes):
    store = Store.open(folder, MANIFEST)
    for number, size in enumerate(sizes):
        add(store, speech(size, number), chr(97 + number))
    return store


@pytest.fixture
def space():
    return Space("raw", DIM)


def index_files(store):
    return sorted(store.path.glob("*.usearch"))


@pytest.mark.slow
def test_it_finds_what_the_exact_search_finds(tmp_path, space):
    store = filled(tmp_path, *[1_000] * 20)
    index = ApproximateIndex(store, space)
    assert index.added == 20_000
    again, content = ApproximateIndex(store, space), store.read()
    assert again.added == 0
    same = 0
    for query in speech(30, seed=77):
        exact = nearest_clips(content, query, space, 10)
        found = again.nearest_clips(query, 10)
        assert [item.cosine for item in found] == sorted((i.cosine for i in found), reverse=True)
        assert all(content.clips[item.number] == item.clip for item in found)
        same += len({item.number for item in exact} & {item.number for item in found})
    assert same / 300 >= 0.99


def test_what_was_embedded_since_is_added(tmp_path, space):
    store = filled(tmp_path, 300, 200)
    assert ApproximateIndex(store, space).added == 500
    first = index_files(store)
    fresh = speech(100, seed=5)
    add(store, fresh, "new")
    index = ApproximateIndex(store, space)
    assert index.added == 100
    assert len(index_files(store)) == 1
    assert index_files(store) != first
    assert index.nearest_clips(fresh[7], 1)[0].clip.path == "new7"
    assert ApproximateIndex(store, space).added == 0


def test_an_index_of_other_content_is_not_taken(tmp_path, space):
    one, other = filled(tmp_path / "one", 300), filled(tmp_path / "other")
    add(other, speech(300, seed=9), "other")
    ApproximateIndex(one, space)
    stolen = other.path / index_files(one)[0].name
    stolen.write_bytes(index_files(one)[0].read_bytes())
    query = other.read().vectors[5]
    index = ApproximateIndex(other, space)
    assert index.added == 300
    assert index.nearest_clips(query, 1)[0].clip.path == "other5"
    assert stolen not in index_files(other)


@pytest.mark.parametrize("content", [b"", b"no index", None])
def test_a_damaged_index_is_made_again(tmp_path, space, content):
    store = filled(tmp_path, 300)
    ApproximateIndex(store, space)
    (path,) = index_files(store)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content is None else content)
    assert ApproximateIndex(store, space).added == 300
    assert len(path.read_bytes()) == len(whole)


def test_a_filter_that_leaves_few_candidates_searches_all(tmp_path, space):
    store = filled(tmp_path, 300)
    index, content = ApproximateIndex(store, space), store.read()
    query = content.vectors[0]

    def last(clip):
        return int(clip.path[1:]) >= 290

    expected = nearest_clips(content, query, space, 5, last)
    assert index.nearest_clips(query, 5, last) == expected
    sad = index.nearest_clips(query, 5, lambda clip: clip.emotion == "sad")
    assert {item.clip.emotion for item in sad} == {"sad"}
    assert index.nearest_clips(query, 5, lambda _: False) == []


def test_an_empty_store_has_nothing_near(tmp_path, space):
    index = ApproximateIndex(filled(tmp_path), space)
    assert index.nearest_clips(np.ones(DIM, np.float32)) == []
    with pytest.raises(OptionError, match="at least 1"):
        index.nearest_clips(np.ones(DIM, np.float32), 0)


def test_what_it_cannot_do_is_told(tmp_path, space, monkeypatch):
    store = filled(tmp_path, 10, 10)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"emotion2vec-edge\[search\]"):
        ApproximateIndex(store, space)
    monkeypatch.undo()
    (tmp_path / "000002.npz").write_bytes(b"PK cut off")
    with pytest.raises(StoreError, match=r"000002.npz: the block is damaged"):
        ApproximateIndex(store, space)
    (tmp_path / "000002.npz").unlink()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "atomic_file", full)
    with pytest.raises(OSError, match="No space"):
        ApproximateIndex(store, space)
    assert not index_files(store)


def test_onnxruntime_works_beside_it():
    """In a process that made an index before it loaded a model."""
    code = """
from emotion2vec_edge.engine.embeddings import approximate
approximate._new_index(8)
from emotion2vec_edge.engine import Recognizer, example_recordings
print(Recognizer.load().recognize(example_recordings()[0]).emotion)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()
