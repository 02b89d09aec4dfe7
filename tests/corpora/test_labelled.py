"""Labelled speech in the forms that people keep it in."""

import json

import pytest

from emotion2vec_edge.engine.corpora.labelled import canonical, read_corpus
from emotion2vec_edge.engine.errors import OptionError


def test_a_csv(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text(
        "path,label,speaker,split\nemodb/a.wav,Happiness,1,test\nemodb/b.wav,sad,2,train\n"
        "c.wav,,3,\n/abs/d.wav,angry,4,test\n"
    )
    clips = read_corpus(path)
    assert [(c.path, c.label, c.corpus) for c in clips] == [
        (tmp_path / "emodb/a.wav", "happy", "emodb"),
        (tmp_path / "c.wav", None, "m"),
        (tmp_path.__class__("/abs/d.wav"), "angry", "m"),
    ]
    assert len(read_corpus(path, None)) == 4
    assert [c.label for c in read_corpus(path, "train")] == ["sad", None]


def test_a_folder_per_label(tmp_path):
    for name in ("anger/a.wav", "sad/deep/b.mp3", "c.flac", "sad/notes.md"):
        (tmp_path / "calls" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "calls" / name).touch()
    clips = read_corpus(tmp_path / "calls")
    assert [(c.path.name, c.label, c.corpus) for c in clips] == [
        ("a.wav", "angry", "calls"), ("c.flac", None, "calls"), ("b.mp3", "sad", "calls"),
    ]  # fmt: skip


@pytest.mark.parametrize("nested", [True, False])
def test_emobox(tmp_path, nested):
    folder = tmp_path / "data" / "cafe"
    manifest = (folder / "fold_1" if nested else folder) / "cafe_test_fold_1.jsonl"
    manifest.parent.mkdir(parents=True)
    (folder / "label_map.json").write_text('{"c": "Angry", "p": "Fear"}')
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / "a.wav").touch()
    rows = [
        {"key": "cafe-1", "dataset": "cafe", "wav": "downloads/a.wav", "emo": "c", "length": 3.5},
        {"key": "cafe-2", "dataset": "cafe", "wav": "downloads/b.wav", "emo": "p",
         "start_time": 1.5, "end_time": 2.0},
    ]  # fmt: skip
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    one, two = read_corpus(manifest)
    assert (one.path, one.label, one.corpus) == (tmp_path / "downloads/a.wav", "angry", "cafe")
    assert (two.label, two.start, two.end) == ("fearful", 1.5, 2.0)
    manifest.write_text('{"key": "x"}\n')
    with pytest.raises(OptionError, match="line 1 is not of EmoBox"):
        read_corpus(manifest)


def test_what_is_none(tmp_path):
    with pytest.raises(OptionError, match="no such"):
        read_corpus(tmp_path / "gone")
    (tmp_path / "x.csv").write_text("file,emotion\n")
    with pytest.raises(OptionError, match="columns path,label"):
        read_corpus(tmp_path / "x.csv")
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OptionError, match="no corpus can be read"):
        read_corpus(tmp_path / "x.csv")


def test_names_of_emotions():
    assert [canonical(x) for x in ("Sadness", " joy ", "<unk>", "bored", "surprised", "calm")] == [
        "sad", "happy", "unknown", "other", "surprised", "neutral",
    ]  # fmt: skip
