"""Datasets that Hugging Face's ``datasets`` loads, from folders."""

import sys

import pytest
from shards import CLIPS, make_shard, make_table

from emotion2vec_edge.engine import load_audio
from emotion2vec_edge.engine.datasets.hub import HubDataset
from emotion2vec_edge.engine.errors import MissingExtraError, OptionError


@pytest.fixture(autouse=True)
def _offline(monkeypatch, tmp_path_factory):
    hub = pytest.importorskip("datasets", reason="SKIPPED LOUDLY: pip install datasets")
    hub.disable_progress_bars()
    monkeypatch.setattr(hub.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("hf"))


def samples(found):
    return [load_audio(member.source).samples.tolist() for member in found]


WANTED = [load_audio(clip).samples.tolist() for clip in CLIPS]


@pytest.mark.slow
def test_tables_shards_and_folders_of_audio_give_the_same(tmp_path):
    for name in ("tables", "shards", "files"):
        (tmp_path / name).mkdir()
    make_table(tmp_path / "tables" / "train-0.parquet")
    make_shard(tmp_path / "shards" / "train-0.tar")
    for number, clip in enumerate(CLIPS):
        (tmp_path / "files" / f"{number}.wav").write_bytes(clip)
    for name in ("tables", "shards", "files"):
        found = list(HubDataset(str(tmp_path / name), "train").members())
        assert [member.name for member in found] == [str(number) for number in range(6)]
        assert samples(found) == WANTED, name
        assert found[3].id in ("3.wav", "000003.wav")


@pytest.mark.slow
def test_what_cannot_be_streamed_is_an_option_that_is_wrong(tmp_path):
    make_table(tmp_path / "train-0.parquet")
    with pytest.raises(OptionError, match="test: Bad split: test"):
        HubDataset(str(tmp_path), "test").check()
    with pytest.raises(OptionError, match=r"column 'nothing' is not there; it has label"):
        HubDataset(str(tmp_path), "train", column="nothing").check()
    with pytest.raises(OptionError, match="nowhere"):
        HubDataset(str(tmp_path / "nowhere"), "train").check()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "train.csv").write_text("a,b\n1,2\n")
    with pytest.raises(OptionError, match=r"no column of audio; it has a \(int64\), b \(int64\)"):
        HubDataset(str(tmp_path / "text"), "train").check()


def test_the_package_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"emotion2vec-edge\[datasets\]"):
        HubDataset("owner/name", "train").check()
