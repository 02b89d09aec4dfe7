"""Recordings in tar archives."""

import bz2
import gzip
import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shards import CLIPS, make_shard, make_tar

from emotion2vec_edge.engine import load_audio
from emotion2vec_edge.engine.datasets.archives import Archive
from emotion2vec_edge.engine.errors import (
    AudioError,
    AudioNotFoundError,
    TruncatedAudioError,
    UndecodableAudioError,
)


def found(path):
    """Names of the members, and the error that ended them."""
    names = []
    try:
        for member in Archive(str(path)).members():
            names.append(member.name)  # noqa: PERF401 - those before an error count
    except AudioError as error:
        return names, error
    return names, None


def damaged(path, place, content):
    whole = path.read_bytes()
    path.write_bytes(whole[:place] + content + whole[place + len(content) :])
    return path


def test_recordings_are_found_and_read_by_their_place(tmp_path):
    members = list(Archive(str(make_shard(tmp_path / "a.tar"))).members())
    assert [member.name for member in members] == [f"{number:06}.wav" for number in range(6)]
    for member, clip in zip(members, CLIPS, strict=True):
        assert member.source.content is None
        assert (load_audio(member.source).samples == load_audio(clip).samples).all()
    assert load_audio(members[2].source).name == f"{tmp_path}/a.tar#000002.wav"


def test_what_is_no_recording_is_passed_over_and_names_are_unique(tmp_path):
    path = make_tar(
        tmp_path / "a.tar",
        [
            ("d/._x.wav", b""),
            ("a.wav", CLIPS[0]),
            ("a.wav", CLIPS[1]),
            ("B.FLAC", b""),
            (".wav", b""),
        ],
    )
    with tarfile.open(path, "a") as archive:
        link = tarfile.TarInfo("link.wav")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    assert found(path) == (["a.wav", "a.wav~2", "B.FLAC"], None)


def test_long_names_and_joined_archives(tmp_path):
    long = f"{'d' * 200}/{'e' * 200}.wav"
    path = make_tar(tmp_path / "a.tar", [(long, CLIPS[0]), ("b.wav", CLIPS[1])])
    path.write_bytes(path.read_bytes() + make_shard(tmp_path / "b.tar", CLIPS[:2]).read_bytes())
    assert found(path) == ([long, "b.wav", "000000.wav", "000001.wav"], None)


def test_a_damaged_header_costs_one_recording(tmp_path):
    path = make_shard(tmp_path / "a.tar")
    with tarfile.open(path) as archive:
        place = archive.getmember("000002.wav").offset
    names, error = found(damaged(path, place, b"x" * 512))
    assert names == [
        "000000.wav",
        "000001.wav",
        f"byte {place}",
        *(f"00000{n}.wav" for n in (3, 4, 5)),
    ]
    assert error is None
    bad = list(Archive(str(path)).members())[2].source
    with pytest.raises(UndecodableAudioError, match="the archive is damaged here"):
        load_audio(bad)


@pytest.mark.parametrize("cut", [1_000, 7_168, 7_300, 7_680, 9_000])
def test_what_is_before_a_cut_is_kept(tmp_path, cut):
    path = make_shard(tmp_path / "a.tar")
    path.write_bytes(path.read_bytes()[:cut])
    names, error = found(path)
    assert names == ["000000.wav"][: cut > 7_000]
    assert isinstance(error, TruncatedAudioError)
    assert "cut off" in str(error)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is no tar"),
        (b"not a tar at all " * 1000, "is no tar"),
        (gzip.compress(b"x" * 2000, mtime=0), "compressed .gzip.; unpack"),
        (bz2.compress(b"x"), "compressed .bzip2.; unpack"),
        (bytes(10_240), "no recordings in this archive"),
    ],
)
def test_what_is_no_archive_of_recordings_is_refused(tmp_path, content, problem):
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(UndecodableAudioError, match=problem):
        list(Archive(str(tmp_path / "a.tar")).members())


def test_an_archive_that_is_not_there(tmp_path):
    assert isinstance(found(tmp_path / "none.tar")[1], AudioNotFoundError)


def test_an_archive_in_a_store_is_read_in_blocks(tmp_path, monkeypatch):
    fsspec = pytest.importorskip("fsspec", reason="SKIPPED LOUDLY: pip install fsspec")
    from emotion2vec_edge.engine import objects

    memory = fsspec.filesystem("memory")
    content = make_shard(tmp_path / "a.tar").read_bytes()
    memory.pipe("/shards/a.tar", content)
    asked = []

    def block(_store, _path, start, end):
        asked.append(end - start)
        return content[start:end]

    monkeypatch.setattr(objects, "_block", block)
    monkeypatch.setattr(objects, "READ_BYTES", 4_096)
    members = list(Archive("memory://shards/a.tar").members())
    assert max(asked) == 4_096
    asked.clear()
    for member, clip in zip(members, CLIPS, strict=True):
        assert (load_audio(member.source).samples == load_audio(clip).samples).all()
    assert asked == [len(clip) for clip in CLIPS]
    memory.store.clear()


@given(st.data())
def test_any_damage_ends_in_recordings_or_an_error_of_ours(tmp_path_factory, data):
    path = make_shard(tmp_path_factory.mktemp("a") / "a.tar", CLIPS[:2])
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, 20_000))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    names, _ = found(path)
    assert len(names) <= 6


def test_memory_does_not_grow_with_the_archive(tmp_path):
    path = make_tar(tmp_path / "a.tar", [(f"{number}.wav", b"") for number in range(300)])
    with tarfile.open(path) as archive, io.BytesIO(path.read_bytes()) as file:
        entries = Archive(str(path))._entries(archive, file, path.stat().st_size)
        assert [len(archive.members) for _ in entries] == [0] * 300
