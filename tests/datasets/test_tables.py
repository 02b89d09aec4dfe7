"""Recordings in Parquet files."""

import os

import pytest
from shards import CLIPS, make_table

from emotion2vec_edge.engine import load_audio
from emotion2vec_edge.engine.datasets.tables import AudioTable
from emotion2vec_edge.engine.errors import (
    AudioNotFoundError,
    MissingExtraError,
    OptionError,
    UndecodableAudioError,
)

pyarrow = pytest.importorskip("pyarrow", reason="SKIPPED LOUDLY: pip install pyarrow")
parquet = pytest.importorskip("pyarrow.parquet", reason="SKIPPED LOUDLY: pip install pyarrow")


def members(path, column=None):
    return list(AudioTable(str(path), column).members())


def write(file, **columns):
    parquet.write_table(pyarrow.table(columns), file)
    return file


def test_the_layout_of_hugging_face(tmp_path):
    found = members(make_table(tmp_path / "a.parquet", row_group_size=4))
    assert [(member.name, member.id) for member in found] == [
        (f"{n}", f"{n}.wav") for n in range(6)
    ]
    for member, clip in zip(found, CLIPS, strict=True):
        assert (load_audio(member.source).samples == load_audio(clip).samples).all()
    assert found[1].source.name == f"{tmp_path}/a.parquet#1"


def test_empty_cells_and_text_fail_alone(tmp_path):
    rows = [CLIPS[0], None, {"bytes": None, "path": None}, b"text", CLIPS[1]]
    found = members(make_table(tmp_path / "a.parquet", rows))
    for member in found[1:4]:
        with pytest.raises(UndecodableAudioError, match=f"a.parquet#{member.name}: "):
            load_audio(member.source)
    assert load_audio(found[4].source).seconds == 0.2


def test_columns_of_paths_start_from_here_or_from_the_file(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    (tmp_path / "here.wav").write_bytes(CLIPS[0])
    path = write(
        tmp_path / "sub" / "a.parquet", text=["?"] * 4,
        path=["here.wav", "beside.wav", "/abs.wav", "s3://bucket/a.wav"],
    )  # fmt: skip
    monkeypatch.chdir(tmp_path)
    sources = [member.source for member in members("sub/a.parquet")]
    assert sources == ["here.wav", "sub/beside.wav", "/abs.wav", "s3://bucket/a.wav"]
    assert members(path, "text")[0].source == str(tmp_path / "sub" / "?")


def test_a_column_is_named_or_found(tmp_path):
    path = write(tmp_path / "a.parquet", id=[1], first=[CLIPS[0]], second=[CLIPS[1]])
    assert members(path)[0].source.content == CLIPS[0]
    assert members(path, "second")[0].source.content == CLIPS[1]
    has = r"it has id \(int64\), first \(audio\), second \(audio\)"
    with pytest.raises(OptionError, match=f"column 'third' is not there; {has}"):
        members(path, "third")
    with pytest.raises(OptionError, match=f"column 'id' holds no audio; {has}"):
        members(path, "id")
    with pytest.raises(OptionError, match=r"no column of audio; it has n \(double\), t \(text\)"):
        members(write(tmp_path / "b.parquet", n=[1.0], t=["x"]))


def test_a_damaged_group_of_rows_costs_no_other(tmp_path):
    path = make_table(
        tmp_path / "a.parquet", row_group_size=2, write_page_checksum=True, compression="none"
    )  # fmt: skip
    content = path.read_bytes()
    place = content.index(CLIPS[2]) + 100
    path.write_bytes(content[:place] + b"damage" + content[place + 6 :])
    found = members(path)
    assert [member.name for member in found] == ["0", "1", "2-3", "4", "5"]
    with pytest.raises(UndecodableAudioError, match="#2-3: these rows cannot be read"):
        load_audio(found[2].source)


def test_what_is_no_parquet_file_is_refused(tmp_path):
    path = make_table(tmp_path / "a.parquet")
    for content in (b"", b"text" * 1000, path.read_bytes()[:-100]):
        path.write_bytes(content)
        with pytest.raises(UndecodableAudioError, match="is no whole Parquet file"):
            members(path)
    with pytest.raises(AudioNotFoundError, match="none.parquet"):
        members(tmp_path / "none.parquet")


def test_memory_is_that_of_a_group_of_rows(tmp_path):
    rows = [os.urandom(1 << 18) for _ in range(80)]
    path = make_table(tmp_path / "a.parquet", rows, row_group_size=8)  # groups of 2 MB, 20 in all
    del rows
    before = pyarrow.total_allocated_bytes()
    found = AudioTable(str(path)).members()
    assert max(pyarrow.total_allocated_bytes() - before for _ in found) < 7 << 20


def test_pyarrow_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"emotion2vec-edge\[parquet\]"):
        members("a.parquet")
