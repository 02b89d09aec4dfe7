"""Files and folders: whole or not at all, through links, and never over a device."""

import errno
import io
import os
import stat
import threading
from pathlib import Path

import pytest

from emotion2vec_edge.engine import files
from emotion2vec_edge.engine.errors import AudioNotFoundError, OptionError, OutputError
from emotion2vec_edge.engine.files import (
    atomic_file,
    atomic_folder,
    atomic_text,
    cache_folder,
    printable,
    reported,
    temporary_folder,
    try_lock,
    write_file,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write_then_fail(file, text, error):
    file.write(text)
    raise error


def test_a_file_appears_at_the_end(tmp_path):
    path = tmp_path / "out.json"
    path.write_text("old")
    with atomic_file(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["out.json"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
def test_a_file_that_is_not_finished_leaves_nothing(tmp_path, error):
    path = tmp_path / "out.json"
    path.write_text("old")
    with pytest.raises(error), atomic_text(path) as file:
        write_then_fail(file, "new", error)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["out.json"]


def test_the_longest_name_can_be_written(tmp_path):
    path = tmp_path / ("n" * 255)
    write_file(path, b"x")
    assert path.read_bytes() == b"x"


def test_a_new_file_follows_the_umask_and_an_old_one_keeps_its_mode(tmp_path):
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "new", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    (tmp_path / "new").chmod(0o604)
    write_file(tmp_path / "new", b"again")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o604


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands files to other users")
def test_a_replaced_file_keeps_its_owner(tmp_path):
    path = tmp_path / "theirs"
    path.touch()
    os.chown(path, 1234, 4321)
    write_file(path, b"new")
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 4321)


def test_a_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "disk").mkdir()
    target, link = tmp_path / "disk" / "real.json", tmp_path / "link.json"
    link.symlink_to("disk/real.json")
    write_file(link, b"made through a dangling link")
    assert target.read_bytes() == b"made through a dangling link"
    write_file(link, b"replaced")
    assert link.is_symlink()
    assert target.read_bytes() == b"replaced"
    assert names(target.parent) == ["real.json"]


def test_a_link_to_itself_is_an_error(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OutputError, match="loop: cannot be written"):
        write_file(tmp_path / "loop", b"")


def test_a_pipe_is_written_through(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    write_file(pipe, b"through")
    reader.join(10)
    assert received == [b"through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_device_is_written_through(tmp_path):
    null = tmp_path / "null"
    null.symlink_to("/dev/null")
    write_file(null, b"gone")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    with pytest.raises(OutputError, match="No space left"):
        write_file(Path("/dev/full"), b"x")
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


def test_a_descriptor_whose_file_lost_its_name_is_written_through(tmp_path):
    with (tmp_path / "gone").open("w+b") as file:
        (tmp_path / "gone").unlink()
        write_file(Path(f"/dev/fd/{file.fileno()}"), b"still here")
        assert file.read() == b"still here"
    assert names(tmp_path) == []


def test_a_folder_in_the_place_of_a_file_is_an_error(tmp_path):
    with pytest.raises(OutputError, match="Is a directory"):
        write_file(tmp_path, b"")


def test_a_missing_folder_is_an_error_or_is_made(tmp_path):
    with (
        pytest.raises(OutputError, match="no/x: cannot be written"),
        atomic_file(tmp_path / "no/x"),
    ):
        pass
    write_file(tmp_path / "no" / "x", [b"a", b"b"])
    assert (tmp_path / "no" / "x").read_bytes() == b"ab"


def test_a_temporary_file_may_lie_elsewhere(tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with atomic_file(tmp_path / "x", scratch=scratch):
        assert len(names(scratch)) == 1
        assert names(tmp_path) == ["scratch"]
    assert names(scratch) == []


def test_records_are_kept_when_interrupted(tmp_path):
    path = tmp_path / "out.jsonl"
    with pytest.raises(KeyboardInterrupt), atomic_text(path, keep_partial=True) as file:
        write_then_fail(file, "one\n", KeyboardInterrupt)
    assert path.read_text() == "one\n"
    assert names(tmp_path) == ["out.jsonl"]


def test_records_are_kept_apart_when_the_disk_fails(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text("old\n")
    with (
        pytest.raises(OutputError, match=r"Input/output error; .*out\.jsonl\.partial"),
        atomic_text(path, keep_partial=True) as file,
    ):
        write_then_fail(file, "one\n", OSError(5, os.strerror(5)))
    assert path.read_text() == "old\n"
    assert (tmp_path / "out.jsonl.partial").read_text() == "one\n"
    assert names(tmp_path) == ["out.jsonl", "out.jsonl.partial"]


def test_a_folder_appears_at_the_end(tmp_path):
    path = tmp_path / "model"
    before = os.umask(0o027)
    try:
        with atomic_folder(path, "marker") as new:
            (new / "marker").write_text("1")
            assert not path.exists()
    finally:
        os.umask(before)
    assert names(tmp_path) == ["model"]
    assert names(path) == ["marker"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o750


@pytest.mark.parametrize("swaps", [True, False])
def test_a_folder_is_replaced(tmp_path, monkeypatch, swaps):
    if not swaps:
        monkeypatch.setattr(files, "_exchange", lambda *_: False)
    path, link = tmp_path / "disk" / "model", tmp_path / "link"
    path.mkdir(parents=True)
    path.chmod(0o711)
    link.symlink_to("disk/model")
    (path / "marker").write_text("old")
    with atomic_folder(link, "marker") as new:
        (new / "marker").write_text("new")
        assert (path / "marker").read_text() == "old"
    assert (path / "marker").read_text() == "new"
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o711
    assert names(path.parent) == ["model"]


def test_a_folder_that_cannot_be_replaced_is_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "model"
    path.mkdir()
    (path / "marker").write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_folder(path, "marker"):
        raise KeyboardInterrupt

    def replace(self, target, real=Path.replace):
        if self.name == "new":
            raise OSError(5, os.strerror(5))
        return real(self, target)

    monkeypatch.setattr(files, "_exchange", lambda *_: False)
    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(OutputError, match="Input/output error"), atomic_folder(path, "marker"):
        pass
    assert (path / "marker").read_text() == "old"
    assert names(tmp_path) == ["model"]


def test_a_folder_of_another_kind_is_not_replaced(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    (tmp_path / "file").touch()
    for name in ("photos", "file"):
        with (
            pytest.raises(OptionError, match="holds no bundle.json; it will not be overwritten"),
            atomic_folder(tmp_path / name, "bundle.json"),
        ):
            pass
    assert names(tmp_path) == ["file", "photos"]
    assert names(tmp_path / "photos") == ["a.jpg"]


def test_a_temporary_folder_is_hidden_and_goes(tmp_path):
    with temporary_folder(tmp_path / "deep" / ("n" * 255)) as folder:
        assert folder.parent == tmp_path / "deep"
        assert folder.name.startswith(".n")
    assert names(tmp_path / "deep") == []


def test_errors_of_our_own_pass_as_they_are():
    with pytest.raises(AudioNotFoundError), reported(Path("x")):  # an OSError too
        raise AudioNotFoundError("gone.wav: No such file")
    with pytest.raises(OutputError, match="x: cannot be written: odd"), reported(Path("x")):
        raise io.UnsupportedOperation("odd")


def test_the_cache_folder(monkeypatch):
    monkeypatch.setenv("E2V_CACHE", "/somewhere")
    assert cache_folder() == Path("/somewhere")
    monkeypatch.delenv("E2V_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/xdg/emotion2vec-edge")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/a")
    assert cache_folder() == Path("/home/a/.cache/emotion2vec-edge")


def test_a_user_without_a_home_has_no_cache_folder(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    for variable in ("E2V_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(files.Path, "home", no_home)
    with pytest.raises(OutputError, match="set E2V_CACHE"):
        cache_folder()


def test_names_of_any_bytes_can_be_shown(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    assert printable(name) == r"caf\xe9"
    with pytest.raises(OutputError) as caught:
        write_file(tmp_path / name / ("n" * 300), b"")
    str(caught.value).encode()


def test_one_lock_at_a_time(tmp_path):
    path = tmp_path / "lock"
    with path.open("wb") as first, path.open("wb") as second:
        assert try_lock(first.fileno())
        assert not try_lock(second.fileno())
        first.close()
        assert try_lock(second.fileno())


def test_a_disk_without_locks_stops_nobody(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(files.fcntl, "flock", refuse)
    with (tmp_path / "lock").open("wb") as file:
        assert try_lock(file.fileno())
