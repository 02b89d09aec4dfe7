"""Output folders."""

import pytest

from emotion2vec_edge.engine.batch.output.folder import OutputFolder
from emotion2vec_edge.engine.errors import OutputError


@pytest.mark.parametrize("name", ["results.jsonl", "failures.jsonl"])
def test_a_log_that_is_no_file(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(OutputError, match=f"{name}: cannot be written: Is a directory"):
        OutputFolder(tmp_path)
    (tmp_path / name).rmdir()
    with OutputFolder(tmp_path):  # the lock is not kept
        pass


def test_whatever_lies_in_the_work_folder_is_swept(tmp_path):
    (tmp_path / ".work" / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "kept").mkdir()
    (tmp_path / ".work" / "link").symlink_to(tmp_path / "kept")
    (tmp_path / ".work" / "1.tmp").touch()
    with OutputFolder(tmp_path) as folder:
        assert sorted(path.name for path in folder.work.iterdir()) == ["lock", "reserve"]
    assert not folder.work.exists()
    assert (tmp_path / "kept").is_dir()


def test_one_run_at_a_time(tmp_path):
    with OutputFolder(tmp_path), pytest.raises(OutputError, match="another run"):
        OutputFolder(tmp_path)
    with OutputFolder(tmp_path):
        pass


def test_what_is_written_is_read_again(tmp_path):
    with OutputFolder(tmp_path) as folder:
        folder.write("results/a.json", [b"{", b"}"])
        assert folder.read("results/a.json") == b"{}"
        assert folder.read("results/b.json") is None
        with pytest.raises(OutputError, match=r"results: cannot be read: not a regular file"):
            folder.read("results")
