"""A store: it grows, survives whatever ends a process, and refuses what does not belong."""

import dataclasses
import json

import numpy as np
import pytest

from emotion2vec_edge.engine import open_bundle
from emotion2vec_edge.engine.embeddings import store as module
from emotion2vec_edge.engine.embeddings.clips import StoredClip
from emotion2vec_edge.engine.embeddings.parquet import write_parquet
from emotion2vec_edge.engine.embeddings.store import Store
from emotion2vec_edge.engine.errors import OptionError, OutputError, StoreError

CLIPS = [
    StoredClip("a.wav", label="sad", speaker="ann", corpus="own", emotion="sad", confidence=0.5,
               scores={"sad": 0.5, "happy": 0.5}),
    StoredClip("b\n\u2028.wav", 1.5, 2.25, text="näh"),
]  # fmt: skip


@pytest.fixture
def manifest():
    return open_bundle().manifest


@pytest.fixture
def dim(manifest):
    return manifest.architecture.embed_dim


@pytest.fixture
def store(tmp_path, manifest, dim, rng):
    made = Store.open(tmp_path / "store", manifest)
    made.append(rng.standard_normal((2, dim)).astype(np.float32), CLIPS)
    made.append(np.ones((1, dim), np.float32), [StoredClip("c.wav")])
    return made


def test_what_was_put_in_comes_out_in_order(store, dim):
    content = Store(store.path).read()
    assert content.clips == [*CLIPS, StoredClip("c.wav")]
    assert content.vectors.shape == (3, dim)
    assert (content.vectors[2] == 1).all()
    assert list(store.clips()) == content.clips


def test_anyone_can_read_it(store):
    with np.load(store.path / "000001.npz") as block:
        assert block["vectors"].dtype == np.float32
    line = (store.path / "000001.jsonl").read_text(encoding="utf-8").split("\n")[0]
    assert json.loads(line)["label"] == "sad"


def test_another_models_vectors_are_refused_by_name(store, manifest):
    other = dataclasses.replace(manifest, name="other", source=dataclasses.replace(
        manifest.source, sha256={"model.pt": "0" * 64}))  # fmt: skip
    with pytest.raises(StoreError, match=f"of {manifest.name} .* the model is other"):
        Store.open(store.path, other)
    Store.open(store.path, dataclasses.replace(manifest, name="the same encoder"))


def test_vectors_that_are_no_embeddings_leave_the_store_as_it_was(store, dim):
    for vectors in (np.full((1, dim), np.nan), np.ones((1, dim + 1))):
        with pytest.raises(OptionError):
            store.append(vectors.astype(np.float32), [StoredClip("d.wav")])
    assert len(store.read().clips) == 3


def test_a_block_without_its_vectors_was_never_there(store, dim):
    """The process ended between the two files."""
    (store.path / "000003.jsonl").write_text('{"path": "lost.wav"}\n')
    assert len(Store(store.path).read().clips) == 3
    store.append(np.zeros((1, dim), np.float32), [StoredClip("d.wav")])
    assert [clip.path for clip in store.clips()][-1] == "d.wav"


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("000001.npz", "cut"), ("000002.npz", "other"),
        ("000001.jsonl", "cut"), ("000001.jsonl", "gone"), ("000001.jsonl", "other"),
    ],
)  # fmt: skip
def test_a_damaged_block_is_named_with_the_way_out(store, name, damage):
    path = store.path / name
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    else:
        path.write_bytes(b"\xff\xfe" * 50)
    with pytest.raises(StoreError, match=rf"{path.stem}.*(damaged|cut off).*move {path.stem}"):
        store.read()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"path": "a", "confidence": 2}', "line 1: confidence should be a number from 0 to 1"),
        ('{"start": 1}', "line 1: path is missing"),
        ('{"path": "a", "colour": 1}', "colour is not known"),
        ('{"path": "a", "scores": {"sad": NaN}}', "scores.sad should be"),
        ("[]", "should be a mapping"),
    ],
)
def test_a_line_that_is_none_is_named(store, line, message):
    (store.path / "000002.jsonl").write_text(line + "\n")
    with pytest.raises(StoreError, match=message):
        store.read()


def test_a_folder_that_is_no_store_is_left_alone(tmp_path, manifest):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match="is no store"):
        Store.open(tmp_path, manifest)
    with pytest.raises(StoreError, match="no store of embeddings"):
        Store(tmp_path / "nowhere")
    (tmp_path / "store.json").write_text('{"schema": 99}')
    with pytest.raises(StoreError, match="schema should be 1"):
        Store(tmp_path)


def test_one_process_writes_at_a_time(store):
    with store.writing(), pytest.raises(OutputError, match="another process"), store.writing():
        pass
    with store.writing():
        pass


def test_a_full_disk_leaves_the_store_as_it_was(store, dim, monkeypatch):
    def full(path, content):
        if path.suffix == ".npz":
            raise OutputError(f"{path}: cannot be written: No space left on device")

    monkeypatch.setattr(module, "write_file", full)
    with pytest.raises(OutputError, match="No space"):
        store.append(np.zeros((1, dim), np.float32), [StoredClip("d.wav")])
    monkeypatch.undo()
    assert len(store.read().clips) == 3


def test_a_parquet_file_holds_the_same(store, tmp_path, dim):
    parquet = pytest.importorskip("pyarrow.parquet", reason="SKIPPED LOUDLY: no pyarrow")
    write_parquet(store, tmp_path / "store.parquet")
    table = parquet.read_table(tmp_path / "store.parquet")
    content = store.read()
    assert table["path"].to_pylist() == [clip.path for clip in content.clips]
    assert dict(table["scores"].to_pylist()[0]) == content.clips[0].scores
    np.testing.assert_array_equal(np.stack(table["vector"].to_pylist()), content.vectors)
    assert table.schema.metadata[b"encoder"].decode() == store.encoder
