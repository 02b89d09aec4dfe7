"""``e2v distill`` on the command line."""

import json

import pytest
from commands import e2v

from emotion2vec_edge.export.checkpoint.folder import load_checkpoint
from emotion2vec_edge.export.distill.lessons.cache import JOURNAL


@pytest.mark.slow
def test_distil_on_the_command_line(corpus, tiny, whisper_folder, tmp_path):
    arguments = [
        "distill", whisper_folder, "--data", corpus, "-o", tmp_path / "out", "--shape", tiny,
        "--cache", tmp_path / "cache", "--steps", 4, "--batch-seconds", 4, "--validation", 0.25,
        "--speeds", "1", "--licence", "CC0",
    ]  # fmt: skip
    done = e2v(*arguments)
    assert done.returncode == 0, done.stderr
    assert b"mean UA" in done.stdout
    assert b"frames of whisper (layers 1, 2, 32 wide)" in done.stderr
    assert load_checkpoint(tmp_path / "out").labels[0].id == "angry"
    header = json.loads((tmp_path / "cache" / JOURNAL).read_text().splitlines()[0])
    assert header["teacher"] == "whisper"
    more = [*arguments[:5], tmp_path / "more", *arguments[6:], "--student", tmp_path / "out"]
    done = e2v(*more)
    assert done.returncode == 0, done.stderr
    assert b"--student may have heard some" in done.stderr
    assert '"frames"' in (tmp_path / "more" / "training.jsonl").read_text()
    done = e2v(*more[:-1], tmp_path / "elsewhere", "--overwrite")
    assert (done.returncode, b"no such folder" in done.stderr) == (4, True), done.stderr
    done = e2v(*arguments[:4], *arguments[4:], "--overwrite", "--teacher-layers", "0")
    assert (done.returncode, b"is the cache of another teacher" in done.stderr) == (2, True)
    done = e2v(*arguments)
    assert (done.returncode, b"exists already" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument"),
        (["m"], "give --data, --unlabelled, or both"),
        (["m", "--data", "x", "--tune-steps", "3"], "is for --tune-teacher"),
        (["m", "--data", "x", "--speeds", "0.9"], "1 among them"),
        (["m", "--data", "x", "--speeds", "fast"], "give numbers"),
        (["m", "--data", "x", "--teacher-layers", "1.5"], "give whole numbers"),
        (["m", "--data", "x", "--live", "--speeds", "1"], "no --cache, no --speeds"),
        (["m", "--data", "x"], "no such manifest or folder"),
    ],
)
def test_distill_usage(tmp_path, arguments, message):
    done = e2v("distill", *arguments, "-o", tmp_path / "out")
    assert (done.returncode, message in done.stderr.decode()) == (2, True), done.stderr


def test_a_folder_without_audio(tmp_path):
    (tmp_path / "empty").mkdir()
    done = e2v("distill", "m", "--unlabelled", tmp_path / "empty", "-o", tmp_path / "out")
    assert (done.returncode, b"no recordings in this folder" in done.stderr) == (2, True)
