"""Corrected answers: kept, replaced, forgotten, and made into a manifest."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from emotion2vec_edge.engine import open_bundle
from emotion2vec_edge.engine.corpora.feedback import (
    Correction,
    FeedbackStore,
    encoder_id,
    write_manifest,
)
from emotion2vec_edge.engine.corpora.labelled import read_corpus
from emotion2vec_edge.engine.errors import OptionError, OutputError

E2V = [sys.executable, "-m", "emotion2vec_edge.engine.cli"]


def e2v(*args, **env):
    return subprocess.run(
        [*E2V, *map(str, args)], capture_output=True, env={**os.environ, **env}, check=False
    )


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
    with pytest.raises(OptionError, match="no corpus can be read"):
        read_corpus(path)


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


def test_the_whole_loop_on_the_command_line(tmp_path, example):
    store = tmp_path / "store.sqlite"
    result = tmp_path / "r.json"
    e2v("recognize", example, "--format", "json", "-o", result)
    done = e2v("feedback", "add", result, "--label", "Anger", "--speaker", "x", "--store", store)
    assert done.returncode == 0, done.stderr
    assert b"is angry" in done.stderr
    listed = e2v("feedback", "list", E2V_FEEDBACK=str(store)).stdout.decode()
    assert listed.startswith("1  angry, answered ")
    assert str(example) in listed
    done = e2v("feedback", "export", "-o", tmp_path / "m.csv", "--store", store)
    assert done.returncode == 0
    assert b"1 angry" in done.stderr
    with (tmp_path / "m.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["label"], row["speaker"]) == ("angry", "x")
    assert e2v("feedback", "remove", 1, "--store", store).returncode == 0
    done = e2v("feedback", "export", "-o", tmp_path / "n.csv", "--store", store)
    assert (done.returncode, b"nothing is kept" in done.stderr) == (2, True)


def test_results_that_are_none(tmp_path, example):
    store = tmp_path / "s"
    for name, text, message in (
        ("gone.json", None, "No such file"),
        ("text.json", "hello", "no JSON of e2v"),
        ("number.json", "3", "no JSON of e2v"),
        ("two.json", json.dumps([{"file": "a"}, {"file": "b"}]), "holds 2 results"),
        ("none.json", "[]", "holds 0 results"),
    ):
        if text is not None:
            (tmp_path / name).write_text(text)
        done = e2v("feedback", "add", tmp_path / name, "--label", "sad", "--store", store)
        assert (done.returncode, message in done.stderr.decode()) == (2, True), done.stderr
    (tmp_path / "r.json").write_text(json.dumps({"file": str(tmp_path / "gone.wav")}))
    done = e2v("feedback", "add", tmp_path / "r.json", "--label", "sad", "--store", store)
    assert (done.returncode, b"gone.wav" in done.stderr) == (3, True)
    (tmp_path / "r.jsonl").write_text(
        json.dumps({"file": "other"}) + "\n" + json.dumps({"file": str(example)}) + "\n"
    )
    done = e2v("feedback", "add", tmp_path / "r.jsonl", "--label", "bewildered",
               "--file", example, "--store", store)  # fmt: skip
    assert (done.returncode, b"none of the model's labels" in done.stderr) == (0, True)
