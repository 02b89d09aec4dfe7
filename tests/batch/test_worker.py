"""Recordings worked through in this process."""

import dataclasses
import errno
import json
import os
import shutil
import sys

import pytest
from batches import one_run, rows

from emotion2vec_edge.engine.batch.inputs.input_file import InputFile
from emotion2vec_edge.engine.batch.settings import BatchSettings
from emotion2vec_edge.engine.batch.worker import Worker
from emotion2vec_edge.engine.errors import NoHeadError, OutputError
from emotion2vec_edge.engine.pipeline import Pipeline


def test_a_fault_of_ours_is_one_failure(recognizer, calls, tmp_path, monkeypatch):
    real = Pipeline.encode

    def faulty(self, recordings, **settings):
        if recordings[0].recording.name.endswith("day0/1.wav"):
            raise ZeroDivisionError("division by zero")
        return real(self, recordings, **settings)

    monkeypatch.setattr(Pipeline, "encode", faulty)
    progress = one_run(recognizer, tmp_path / "out", [calls])
    assert (progress.done, progress.failed) == (7, 2)
    failures = {row["file"]: row for row in rows(tmp_path / "out" / "failures.jsonl")}
    failure = failures[str(calls / "day0" / "1.wav")]
    assert failure["message"] == f"{failure['file']}: internal error: division by zero"
    assert (failure["error"], failure["exit_code"]) == ("ZeroDivisionError", 1)


def test_hostile_names_stay_inside(recognizer, calls, tmp_path):
    source = calls / "day0" / "0.wav"
    listed = [
        InputFile(str(source), "x", id="../../escape"),
        InputFile(str(calls / "day0" / "1.wav"), "x", id="/etc/passwd"),
    ]
    (tmp_path / "wav.scp").write_text("".join(f"{item.id} {item.path}\n" for item in listed))
    one_run(recognizer, tmp_path / "out", [tmp_path / "wav.scp"])
    found = {row["id"]: row["result"] for row in rows(tmp_path / "out" / "results.jsonl")}
    assert found == {
        "../../escape": "results/escape.json",
        "/etc/passwd": "results/etc/passwd.json",
    }
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "wav.scp"]


def test_a_recording_that_the_system_fails_to_read(recognizer, calls, tmp_path, monkeypatch):
    """… is a failure of that recording, at every run, and the others go on."""
    real = os.preadv
    broken = os.stat(calls / "day0" / "1.wav").st_ino  # noqa: PTH116

    def preadv(file, buffers, position):
        if os.fstat(file).st_ino == broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(file, buffers, position)

    monkeypatch.setattr(os, "preadv", preadv)
    for done in (7, 0):
        progress = one_run(recognizer, tmp_path / "out", [calls])
        assert (progress.done, progress.failed) == (done, 2)
        failures = {row["file"]: row for row in rows(tmp_path / "out" / "failures.jsonl")}
        failure = failures[str(calls / "day0" / "1.wav")]
        assert failure["message"].endswith("Input/output error")
        assert failure["exit_code"] == 3


def test_a_link_to_what_is_no_file(recognizer, calls, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "version.wav").symlink_to("/proc/version")
    (tmp_path / "in" / "memory.wav").symlink_to("/proc/self/mem")
    (tmp_path / "in" / "z.wav").symlink_to(calls / "day0" / "0.wav")
    progress = one_run(recognizer, tmp_path / "out", [tmp_path / "in"])
    assert (progress.done, progress.failed) == (1, 2)


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_something_in_the_way_of_one_result(recognizer, calls, tmp_path, kind):
    """… is a failure of that recording, as long as it is there."""
    out = tmp_path / "out"
    place = out / "results" / "calls" / "day0" / "1.wav.json"
    if kind == "folder":
        place.mkdir(parents=True)
    else:
        place.parent.mkdir(parents=True)
        os.mkfifo(place)
    for done in (7, 0):
        progress = one_run(recognizer, out, [calls])
        assert (progress.done, progress.failed) == (done, 2)
    failures = {row["file"]: row["message"] for row in rows(out / "failures.jsonl")}
    assert (
        "1.wav.json: cannot be written: something that is no file is in the way"
        in failures[str(calls / "day0" / "1.wav")]
    )
    place.rmdir() if kind == "folder" else place.unlink()
    assert one_run(recognizer, out, [calls]).done == 1


def test_a_file_in_the_way_of_a_folder_of_results(recognizer, calls, tmp_path):
    out = tmp_path / "out"
    (out / "results" / "calls").mkdir(parents=True)
    (out / "results" / "calls" / "day0").touch()
    progress = one_run(recognizer, out, [calls])
    assert (progress.done, progress.failed) == (4, 5)


def test_a_folder_that_is_named_like_the_result_of_a_file(recognizer, calls, tmp_path):
    """Formats have endings of their own, and folders may have any of them."""
    (tmp_path / "in").mkdir()
    shutil.copy(calls / "day0" / "0.wav", tmp_path / "in" / "a.wav")
    for suffix in (".json", ".NPY", ".srt", ".TextGrid"):
        (tmp_path / "in" / f"a.wav{suffix}").mkdir()
        shutil.copy(calls / "day0" / "1.wav", tmp_path / "in" / f"a.wav{suffix}" / "b.wav")
    settings = BatchSettings(formats=("srt", "textgrid"), embeddings=True)
    progress = one_run(recognizer, tmp_path / "out", [tmp_path / "in"], settings)
    assert (progress.done, progress.failed) == (5, 0)
    assert one_run(recognizer, tmp_path / "out", [tmp_path / "in"], settings).skipped == 5


@pytest.mark.skipif(
    sys.version_info < (3, 11), reason="pathlib of Python 3.10 keeps functions of os of its own"
)
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS])
def test_a_disk_that_fails_ends_the_run(recognizer, calls, tmp_path, monkeypatch, code):
    """It would fail for all the others too."""
    real = os.replace

    def replace(source, target, **options):
        if "results/calls/day0/1.wav" in os.fspath(target):
            raise OSError(code, os.strerror(code))
        real(source, target, **options)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OutputError, match=f"1.wav.json: cannot be written: {os.strerror(code)}"):
        one_run(recognizer, tmp_path / "out", [calls])
    monkeypatch.undo()
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["state"], summary["recognized"]) == ("stopped", 1)
    assert one_run(recognizer, tmp_path / "out", [calls]).done == 7


def test_a_model_without_a_head(recognizer, tmp_path):
    bare = dataclasses.replace(recognizer.bundle.manifest, labels=())
    bundle = dataclasses.replace(recognizer.bundle, manifest=bare)
    without = dataclasses.replace(recognizer, bundle=bundle)
    with pytest.raises(NoHeadError, match="no emotion head"):
        Worker(without, tmp_path, BatchSettings(), "r")
