"""Labelled speech in the forms that people keep it in."""

import json
import os

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
         "spk": 0, "start_time": 1.5, "end_time": 2.0},
    ]  # fmt: skip
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    one, two = read_corpus(manifest)
    assert (one.speaker, two.speaker) == (None, "0")
    assert (one.path, one.label, one.corpus) == (tmp_path / "downloads/a.wav", "angry", "cafe")
    assert (two.label, two.start, two.end) == ("fearful", 1.5, 2.0)
    manifest.write_text('{"key": "x"}\n')
    with pytest.raises(OptionError, match="line 1: wav is missing; it should be text"):
        read_corpus(manifest)


def emobox(**values):
    return json.dumps({"wav": "a.wav", "emo": "sad", **values})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[]", r"line 2: the document should be a mapping, found \[\]"),
        ("hello", "line 2 is not of EmoBox"),
        ("[" * 100_000, "line 2 is not of EmoBox"),
        (emobox(wav=5), "line 2: wav should be text, found 5"),
        (emobox(wav="a\0b"), "wav should be text without control characters"),
        (emobox(wav="\ud800"), "wav should be text without control characters"),
        (emobox(wav="x" * 5_000), "wav should be text of 1 to 4096"),
        (emobox(emo=["sad"]), "emo should be text"),
        (emobox(emo="a\nb"), "emo should be one line of text"),
        (emobox(spk=True), "spk should be an integer"),
        (emobox(spk=["x"]), "spk should be text"),
        (emobox(dataset={"a": 1}), "dataset should be text"),
        (emobox(start_time=float("nan")), "start_time should be a number from 0 to"),
        (emobox(start_time=-1), "start_time should be a number from 0 to"),
        (emobox(start_time=1e308), "start_time should be a number from 0 to"),
        (emobox(start_time=True), "start_time should be a number"),
        (emobox(end_time="late"), "end_time should be a number"),
        (emobox(start_time=2, end_time=1), "end_time should be after start_time"),
    ],
)
def test_odd_rows_of_emobox_are_named(tmp_path, line, message):
    (tmp_path / "a.jsonl").write_text(emobox() + "\n" + line)
    with pytest.raises(OptionError, match=rf"a\.jsonl: (line 2: )?{message}"):
        read_corpus(tmp_path / "a.jsonl")


@pytest.mark.parametrize("content", ["[]", "{", '{"c": 5}', '{"c": "a\\u0000"}', "NaN"])
def test_an_odd_label_map_is_named(tmp_path, content):
    (tmp_path / "a.jsonl").write_text(emobox())
    (tmp_path / "label_map.json").write_text(content)
    with pytest.raises(OptionError, match=r"label_map\.json"):
        read_corpus(tmp_path / "a.jsonl")


def test_lines_of_emobox_end_with_line_breaks_alone(tmp_path):
    (tmp_path / "a.jsonl").write_text('\n{"wav": "a\u2028b.wav", "emo": "sad"}\n\n')
    (clip,) = read_corpus(tmp_path / "a.jsonl")
    assert (clip.path.name, clip.row) == ("a\u2028b.wav", 2)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b",sad,,", "line 3: path is missing"),
        (b"a.wav", None),
        (b"a.wav,sad,x,,extra,more", None),
        (b"a\0b.wav,sad,,", "line 3"),
        (b'"a\x1b.wav",sad,,', "line 3: path should be text without control"),
        (b'a.wav,"sa\nd",,', "line 4: label should be one line of text"),
        (b"a.wav," + b"x" * 101 + b",,", "line 3: label should be text of 1 to 100"),
        (b"a.wav,s\xffd,,", "line 3 is not UTF-8"),
        (b"a.wav,sad," + b"x" * 200_000 + b",", "line 3: field larger than field limit"),
        (b"a.wav,sad,,!", "line 3: embedding should be base64 of finite little-endian float32"),
        (b"a.wav,sad,,AAA=", "line 3: embedding should be base64"),
        (b"a.wav,sad,,AADAfw==", "line 3: embedding should be base64"),
    ],
    ids=range(12),
)
def test_odd_rows_of_a_csv_are_named(tmp_path, line, message):
    path = tmp_path / "m.csv"
    path.write_bytes(b"path,label,speaker,embedding\na.wav,sad,1,AACAPw==\n" + line + b"\n")
    if message is None:
        assert read_corpus(path)[1].path == tmp_path / "a.wav"
        return
    with pytest.raises(OptionError, match=rf"m\.csv: .*{message}"):
        read_corpus(path)


def test_a_csv_of_a_spreadsheet(tmp_path):
    path = tmp_path / "m.csv"
    path.write_bytes(b"\xef\xbb\xbfpath,label\r\na.wav,sad\r\n")
    assert [clip.label for clip in read_corpus(path)] == ["sad"]


def test_folders_give_regular_files_alone(tmp_path):
    (tmp_path / "sad" / "folder.wav").mkdir(parents=True)
    os.mkfifo(tmp_path / "sad" / "pipe.wav")
    (tmp_path / "sad" / "a.wav").touch()
    assert [clip.path.name for clip in read_corpus(tmp_path)] == ["a.wav"]


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
