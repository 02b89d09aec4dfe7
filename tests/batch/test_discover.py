"""What a batch finds behind the names that it is given."""

import io
import os
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion2vec_edge.engine.batch.discover import collect, safe_place
from emotion2vec_edge.engine.errors import OptionError


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """calls/{a.wav, b.MP3, notes.md, .hidden.wav, day 1/a.wav, .git/x.wav}"""
    for name in ("a.wav", "b.MP3", "notes.md", ".hidden.wav", "day 1/a.wav", ".git/x.wav"):
        path = tmp_path / "calls" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(*inputs, stdin=""):
    return [(item.path, item.place) for item in collect(inputs, io.StringIO(stdin))]


def test_a_folder_is_searched_through(tree):
    expected = ["calls/a.wav", "calls/b.MP3", "calls/day 1/a.wav"]
    assert found("calls") == [(path, path) for path in expected]
    assert found(str(tree / "calls")) == [(str(tree / path), path) for path in expected]
    os.chdir("calls")
    assert [place for _, place in found(".")] == expected


def test_globs(tree):
    assert found("calls/*.wav") == [("calls/a.wav", "calls/a.wav")]
    assert [path for path, _ in found("calls/**/*.wav")] == ["calls/a.wav", "calls/day 1/a.wav"]
    (tree / "take[1].wav").touch()
    assert found("take[1].wav") == [("take[1].wav", "take[1].wav")]


def test_lists(tree):
    (tree / "calls" / "list.txt").write_text("# mine\n\na.wav\ncalls/b.MP3\nday 1/a.wav\n")
    assert [path for path, _ in found("calls/list.txt")] == [
        "calls/a.wav", "calls/b.MP3", "calls/day 1/a.wav",
    ]  # fmt: skip
    assert found("-", stdin="calls/a.wav\n") == [("calls/a.wav", "calls/a.wav")]


def test_kaldi(tree):
    (tree / "wav.scp").write_text("spk1-u1  calls/a.wav\nspk1-u2 sph2pipe x.sph |\nalone\n")
    one, command, alone = collect(["wav.scp"], io.StringIO())
    assert (one.path, one.place, one.id, one.problem) == ("calls/a.wav", "spk1-u1", "spk1-u1", None)
    assert "not run" in command.problem
    assert "an id and a path" in alone.problem


def test_each_recording_once(tree):
    assert len(found("calls", "calls/a.wav", "./calls/../calls/a.wav", str(tree / "calls"))) == 3


def test_same_names_get_places_of_their_own(tree):
    other = tree / "other" / "calls"
    other.mkdir(parents=True)
    (other / "a.wav").touch()
    (other / "A.WAV").touch()
    places = [place for _, place in found("calls", "other/calls")]
    assert len({place.casefold() for place in places}) == len(places) == 5
    assert places == [place for _, place in found("calls", "other/calls")]  # and keep them


def test_nothing_is_an_error(tree):
    (tree / "empty").mkdir()
    (tree / "empty.txt").touch()
    for name, words in {"empty": ".flac", "*.xyz": "pattern", "empty.txt": "list"}.items():
        with pytest.raises(OptionError, match=f"no recordings.*{words}"):
            found(name)
    with pytest.raises(OptionError, match="cannot be read"):
        found("gone.txt")
    assert found("gone.wav") == [("gone.wav", "gone.wav")]  # told when it is opened


def test_a_folder_that_may_not_be_read(tree, monkeypatch):
    def scandir(path, real=os.scandir):
        if str(path).endswith("day 1"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    items = collect(["calls"], io.StringIO())
    assert [item.path for item in items if not item.problem] == ["calls/a.wav", "calls/b.MP3"]
    assert [item.problem for item in items if item.problem] == ["Permission denied"]


def test_names_of_any_bytes(tree):
    (tree / "calls" / os.fsdecode(b"caf\xe9.wav")).touch()
    item = next(i for i in collect(["calls"], io.StringIO()) if "caf" in i.path)
    assert item.file == r"calls/caf\xe9.wav"
    assert item.place.encode()


@given(st.text(min_size=1, max_size=400).filter(lambda text: "\0" not in text))
def test_a_place_stays_inside(path):
    place = safe_place(path)
    parts = PurePosixPath(place).parts
    assert parts
    assert not PurePosixPath(place).is_absolute()
    assert ".." not in parts
    assert all(0 < len(part.encode()) <= 200 for part in parts)
    assert place.isprintable()
    assert len(place.encode()) <= 1_300
