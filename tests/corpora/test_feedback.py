"""Corrected answers: kept, replaced, forgotten, and made into a manifest."""

import contextlib
import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from emotion2vec_edge.engine import open_bundle
from emotion2vec_edge.engine.bundle.manifest import encoder_id
from emotion2vec_edge.engine.corpora.feedback import (
    Correction,
    FeedbackStore,
    write_manifest,
)
from emotion2vec_edge.engine.corpora.labelled import read_corpus
from emotion2vec_edge.engine.errors import OptionError, OutputError


def correction(path="/a.wav", label="sad", encoder="e", **changes):
    values = {
        "path": path, "label": label, "speaker": None, "answered": "happy", "confidence": 0.6,
        "seconds": 1.5, "model": "m", "encoder": encoder, "embedding": np.float32([1, 2.5, -3]),
    }  # fmt: skip
    return Correction(**{**values, **changes})


def test_what_is_kept_comes_back(tmp_path):
    store = FeedbackStore(tmp_path / "deep" / "store.sqlite")
    first = store.add(correction(speaker="x"))
    second = store.add(correction("/b.wav", "angry"))
    one, two = FeedbackStore(store.path).corrections()
    assert (one.id, two.id, one.label, two.path) == (first, second, "sad", "/b.wav")
    np.testing.assert_array_equal(one.embedding, [1, 2.5, -3])
    assert one.added is not None
    store.remove(first)
    assert [c.id for c in store.corrections()] == [second]
    with pytest.raises(OptionError, match="no correction 1"):
        store.remove(first)


def test_a_second_correction_of_a_recording_takes_the_place_of_the_first(tmp_path):
    store = FeedbackStore(tmp_path / "s")
    assert store.add(correction(label="sad")) == store.add(correction(label="angry"))
    assert store.add(correction(label="sad", encoder="other")) != 1
    assert [c.label for c in store.corrections()] == ["angry", "sad"]


def test_the_manifest_is_read_with_its_embeddings(tmp_path):
    path = tmp_path / "out" / "m.csv"
    write_manifest(
        [correction("/a,b.wav", "sad", speaker="x"), correction("/c.wav", "other")], path
    )
    one, two = read_corpus(path, "train")
    assert (str(one.path), one.label, one.speaker, one.encoder) == ("/a,b.wav", "sad", "x", "e")
    assert np.frombuffer(one.embedding, "<f4").tolist() == [1, 2.5, -3]
    assert two.speaker is None
    path.write_text("path,label,embedding\na.wav,sad,!\n")
    with pytest.raises(OptionError, match="line 2: embedding should be base64"):
        read_corpus(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": ""}, "label should be text of 1 to 100"),
        ({"label": "a\nb"}, "label should be one line of text"),
        ({"label": os.fsdecode(b"tr\xe8s")}, "label should be text without control characters"),
        ({"label": ["sad"]}, "label should be text, found"),
        ({"path": None}, "path is missing"),
        ({"path": os.fsdecode(b"/\xff.wav")}, "path should be text without"),
        ({"speaker": 5}, "speaker should be text"),
        ({"answered": {"a": 1}}, "answered should be text"),
        ({"confidence": "high"}, "confidence should be a number from 0 to 1"),
        ({"confidence": float("nan")}, "confidence should be a number"),
        ({"confidence": 10**400}, "confidence should be a number"),
        ({"seconds": -1}, "seconds should be a number"),
        ({"embedding": np.float32([1, np.nan])}, "embedding should be finite"),
        ({"embedding": np.float32([])}, "embedding should be finite"),
        ({"embedding": np.zeros((2, 2), np.float32)}, "embedding should be finite"),
    ],
)
def test_what_cannot_be_kept_is_named(tmp_path, changes, message):
    store = FeedbackStore(tmp_path / "s")
    with pytest.raises(OptionError, match=f"the correction: {message}"):
        store.add(correction(**changes))
    assert store.corrections() == []


def test_what_is_not_known_is_kept_as_none(tmp_path):
    store = FeedbackStore(tmp_path / "s")
    store.add(correction(answered=None, confidence=None, seconds=None))
    (kept,) = store.corrections()
    assert (kept.answered, kept.confidence, kept.seconds) == (None, None, None)


@pytest.mark.parametrize(
    "change",
    ["embedding = 'text'", "embedding = x'000000'", "embedding = x'0000c07f'", "embedding = x''",
     "label = ''", "label = x'ff'", "confidence = 'high'", "confidence = 9e999", "path = x'00'",
     "id = -4", "seconds = -1"],
)  # fmt: skip
def test_a_damaged_row_names_the_way_out(tmp_path, change):
    store = FeedbackStore(tmp_path / "s")
    store.add(correction())
    with contextlib.closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute(f"UPDATE feedback SET {change}")  # noqa: S608 - of the lines above
    with pytest.raises(OutputError, match=r"correction -?\d is damaged .*remove -?\d forgets it"):
        store.corrections()
    store.remove(-4 if change == "id = -4" else 1)
    assert store.corrections() == []


def test_text_that_is_not_utf8_in_the_store(tmp_path):
    store = FeedbackStore(tmp_path / "s")
    store.add(correction())
    with contextlib.closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute("UPDATE feedback SET label = CAST(x'ff' AS TEXT)")
    with pytest.raises(OutputError, match="feedback store cannot be used"):
        store.corrections()


@pytest.mark.parametrize("number", [1 << 63, -(1 << 63) - 1, 10**30, -1, 0])
def test_ids_of_any_size(tmp_path, number):
    with pytest.raises(OptionError, match=f"no correction {number}"):
        FeedbackStore(tmp_path / "s").remove(number)


def test_a_user_without_a_home_has_no_store(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    for variable in ("E2V_FEEDBACK", "XDG_DATA_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(OutputError, match="set E2V_FEEDBACK"):
        FeedbackStore()


def test_a_pipe_is_no_store(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="is a regular file"):
        FeedbackStore(tmp_path / "pipe")


def test_a_store_that_cannot_be_used(tmp_path):
    (tmp_path / "text").write_text("not a database, but long enough to be looked at" * 20)
    with pytest.raises(OutputError, match="feedback store cannot be used"):
        FeedbackStore(tmp_path / "text")
    with pytest.raises(OutputError):
        FeedbackStore(tmp_path / "text" / "below")


def test_the_encoder_is_the_same_under_another_head():
    manifest = open_bundle("emotion2vec_small").manifest
    assert encoder_id(manifest) == encoder_id(
        type(manifest)(**{**vars(manifest), "name": "another", "labels": ()})
    )
