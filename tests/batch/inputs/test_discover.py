"""What a batch finds behind the names that it is given."""

import io
import os
import socket
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion2vec_edge.engine.batch.inputs.discover import collect
from emotion2vec_edge.engine.batch.inputs.places import RESULT_SUFFIXES, safe_place
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


def test_only_regular_files_are_read(tree):
    """In every way of listing: a pipe may never end."""
    os.mkfifo("calls/m.wav")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("calls/s.wav")
    Path("calls/z.wav").symlink_to("/dev/zero")
    Path("calls/link.wav").symlink_to("m.wav")
    Path("calls/fine.wav").symlink_to("a.wav")
    problems = {
        "calls/link.wav": "is a pipe; a batch reads regular files",
        "calls/m.wav": "is a pipe; a batch reads regular files",
        "calls/s.wav": "is a socket; a batch reads regular files",
        "calls/z.wav": "is a device; a batch reads regular files",
    }
    names = [*problems, "calls/fine.wav", "calls/day 1"]
    (tree / "list.txt").write_text("\n".join(names))
    (tree / "wav.scp").write_text("\n".join(f"{i} {name}" for i, name in enumerate(names)))
    listed = {**problems, "calls/day 1": "is a folder; a batch reads regular files"}
    for inputs, expected in {
        ("calls",): problems,
        ("calls/*.wav",): problems,
        ("list.txt",): listed,
        ("wav.scp",): listed,
        ("-",): listed,
        tuple(problems): problems,
    }.items():
        stdin = io.StringIO("\n".join(names))
        items = collect(inputs, stdin)
        assert {item.path: item.problem for item in items if item.problem} == expected
        assert inputs == tuple(problems) or any(
            item.path == "calls/fine.wav" and item.problem is None for item in items
        )


def test_a_file_beside_a_folder_named_like_its_result(tree):
    for suffix in (".json", ".NPY", ".srt", ".TextGrid", ".wav"):
        (tree / "calls" / f"a.wav{suffix}").mkdir()
        (tree / "calls" / f"a.wav{suffix}" / "b.wav").touch()
    places = dict(found("calls"))
    assert places["calls/a.wav"].startswith("calls/a.wav~")
    assert len(places) == 8
    files = {place + suffix for place in places.values() for suffix in RESULT_SUFFIXES}
    folders = {str(folder) for file in files for folder in PurePosixPath(file).parents}
    assert not {file.casefold() for file in files} & {folder.casefold() for folder in folders}


def test_paths_that_no_file_can_have(tree):
    """They are told when they are opened, with the others."""
    names = ["x" * 5_000 + ".wav", "a\0b.wav", "calls/a.wav"]
    (tree / "calls" / "list.txt").write_text("\n".join(names))
    assert [path.endswith("a.wav") for path, _ in found("calls/list.txt")] == [False, False, True]
    assert len(found(*names[:1])) == 1
    with pytest.raises(OptionError, match="cannot be read"):
        found("a\0b.txt")


def test_kaldi_takes_tabs_and_capitals(tree):
    (tree / "WAV.SCP").write_text("utt1\tcalls/a.wav\n")
    (item,) = collect(["WAV.SCP"], io.StringIO())
    assert (item.path, item.id, item.problem) == ("calls/a.wav", "utt1", None)


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
    (tree / "calls" / r"caf\xe9.wav").touch()
    byte, text = (i for i in collect(["calls"], io.StringIO()) if "caf" in i.path)
    if byte.path == r"calls/caf\xe9.wav":
        byte, text = text, byte
    assert byte.file == r"calls/caf\xe9.wav"
    assert text.file == r"calls/caf\x5cxe9.wav"
    assert byte.place.encode() != text.place.encode()


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
