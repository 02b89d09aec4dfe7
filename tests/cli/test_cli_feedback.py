"""``e2v feedback``: results of any form, corrections kept and exported."""

import csv
import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from emotion2vec_edge.engine import open_bundle
from emotion2vec_edge.engine.cli.feedback import feedback
from emotion2vec_edge.engine.corpora.feedback import FeedbackStore
from emotion2vec_edge.engine.errors import OptionError

DIM = open_bundle().manifest.architecture.embed_dim
"""Width of the embedded model's frames."""
E2V = [sys.executable, "-m", "emotion2vec_edge.engine.cli"]


def e2v(*args, **env):
    return subprocess.run(
        [*E2V, *map(str, args)], capture_output=True, env={**os.environ, **env}, check=False
    )


def npy(array):
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


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


@pytest.fixture
def add(tmp_path):
    """Run ``e2v feedback add`` in this process on the bytes of a result."""

    def run(content, *arguments):
        (tmp_path / "r.json").write_bytes(content)
        command = ["add", tmp_path / "r.json", "--store", tmp_path / "s", *arguments]
        return feedback.main(list(map(str, command)), standalone_mode=False)

    return run


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"NaN", "it is no JSON of e2v"),
        (b"\xff", "it is no JSON of e2v"),
        (b"[" * 100_000, "it is no JSON of e2v"),
        (b"1" * 5_000, "it is no JSON of e2v"),
        (b'[{"file": "a"}, 5]', "it is no JSON of e2v"),
        (b'{"file": ["a"]}', "result 1: file should be text"),
        (b'{"file": null}', "result 1: file is missing"),
        (b'{"file": "a\\u0000b"}', "file should be text without control"),
    ],
)
def test_odd_json_is_named(add, content, message):
    with pytest.raises(OptionError, match=message):
        add(content, "--label", "sad")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("emotion", ["a"], "answered should be text"),
        ("confidence", "high", "confidence should be a number"),
        ("confidence", float("nan"), "confidence should be a number"),
        ("seconds", -3, "seconds should be a number"),
    ],
)
def test_odd_fields_of_a_result_are_named(add, example, field, value, message):
    with pytest.raises(OptionError, match=message):
        add(json.dumps({"file": str(example), field: value}).encode(), "--label", "sad")


def test_labels_and_speakers_that_are_not_utf8(add, example):
    result = json.dumps({"file": str(example)}).encode()
    with pytest.raises(OptionError, match="label should be text without"):
        add(result, "--label", os.fsdecode(b"tr\xe8s"))
    with pytest.raises(OptionError, match="speaker should be text without"):
        add(result, "--label", "sad", "--speaker", os.fsdecode(b"\xff"))


def test_a_result_without_confidence_is_kept_and_listed(add, example, tmp_path, capsys):
    add(json.dumps({"file": str(example), "emotion": "sad", "confidence": None}).encode(),
        "--label", "happy")  # fmt: skip
    feedback.main(["list", "--store", str(tmp_path / "s")], standalone_mode=False)
    assert capsys.readouterr().out.startswith("1  happy, answered sad  /")


@pytest.mark.parametrize(
    "content",
    [b"", b"text", npy(np.full(DIM, np.nan)), npy(np.zeros(3)), npy(np.zeros((DIM, 2))),
     npy(np.zeros(DIM, np.int64)), npy(np.zeros(DIM))[:-1], bytes(10 << 20)],
    ids=range(8),
)  # fmt: skip
def test_a_damaged_embedding_is_named(add, example, tmp_path, content):
    (tmp_path / "e.npy").write_bytes(content)
    report = {"file": str(example), "model": "emotion2vec_small", "embedding": "e.npy"}
    with pytest.raises(OptionError, match=r"e\.npy: not the embedding of a recording"):
        add(json.dumps(report).encode(), "--label", "sad")


def test_a_saved_embedding_is_taken(add, tmp_path, rng):
    embedding = rng.standard_normal(DIM).astype(np.float32)
    (tmp_path / "e.npy").write_bytes(npy(embedding))
    report = {"file": "gone.wav", "model": "emotion2vec_small", "embedding": "e.npy"}
    add(json.dumps(report).encode(), "--label", "sad")
    (kept,) = FeedbackStore(tmp_path / "s").corrections()
    np.testing.assert_array_equal(kept.embedding, embedding)


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
