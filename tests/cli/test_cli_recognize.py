"""`e2v recognize`: formats, sources, outputs, and files that fail alone."""

import csv
import io
import json
import os
import subprocess

import numpy as np
import pytest
from click.testing import CliRunner
from commands import E2V, before_path, e2v, on_a_terminal, reports
from recordings import encoded, tone

from emotion2vec_edge.engine import example_recordings
from emotion2vec_edge.engine.cli.recognize import recognize
from emotion2vec_edge.engine.errors import NonFiniteError
from emotion2vec_edge.engine.pipeline import Pipeline


def test_the_examples_as_a_table():
    done = e2v("recognize", "--examples")
    assert done.returncode == 0
    text = done.stdout.decode()
    assert text.count("%") == 9
    assert "leisure.flac  (7.10 s)" in text
    assert done.stderr == b""


def test_a_json_report(example):
    done = e2v("recognize", example, "--format", "json", "--top", 2)
    report = json.loads(done.stdout)
    assert report["file"] == str(example)
    assert report["granularity"] == "utterance"
    assert report["emotion"] == max(report["scores"], key=report["scores"].get)
    assert report["confidence"] == max(report["scores"].values())
    assert report["top"][0]["emotion"] == report["emotion"]
    assert len(report["top"]) == 2
    assert report["seconds"] == pytest.approx(5.3)
    assert (report["warnings"], report["model"], report["provider"]) == (
        [],
        "emotion2vec_small",
        "cpu",
    )
    assert "frames" not in report


def test_frames(example):
    done = e2v("recognize", example, "--granularity", "frame", "--window", 1, "--hop", 0.5,
               "--format", "json")  # fmt: skip
    report = json.loads(done.stdout)
    assert report["granularity"] == "frame"
    assert len(report["frames"]) == 10
    first = report["frames"][0]
    assert (first["start"], first["end"]) == (0.0, 1.0)
    assert first["confidence"] == max(first["scores"].values())
    assert set(first) == {"start", "end", "emotion", "confidence", "scores"}


def test_several_files_in_every_format(tmp_path):
    paths = example_recordings()
    assert len(json.loads(e2v("recognize", *paths, "--format", "json").stdout)) == 3
    assert len(reports(e2v("recognize", *paths, "--format", "jsonl"))) == 3
    rows = list(
        csv.DictReader(io.StringIO(e2v("recognize", *paths, "--format", "csv").stdout.decode()))
    )
    assert [row["file"] for row in rows] == [str(path) for path in paths]
    assert float(rows[0]["confidence"]) == pytest.approx(float(rows[0][rows[0]["emotion"]]))
    done = e2v(
        "recognize", *paths, "--format", "csv", "--granularity", "frame", "-o", tmp_path / "o.csv"
    )
    assert done.stdout == b""
    rows = list(csv.DictReader(io.StringIO((tmp_path / "o.csv").read_text())))
    assert {row["file"] for row in rows} == {str(path) for path in paths}
    assert float(rows[1]["start"]) == pytest.approx(0.05)
    assert [p.name for p in tmp_path.iterdir()] == ["o.csv"]


def test_stdin():
    content = encoded(tone(2.0), 16_000, "FLAC")
    (report,) = reports(e2v("recognize", "-", "--format", "jsonl", stdin=content))
    assert (report["file"], report["seconds"]) == ("-", 2.0)


def test_stdin_that_is_a_file(example):
    with example.open("rb") as file:
        done = subprocess.run(
            [*E2V, "recognize", "-", "--format", "jsonl"],
            stdin=file,
            capture_output=True,
            check=False,
        )
    (report,) = reports(done)
    assert (report["file"], report["seconds"]) == ("-", pytest.approx(5.3))


def test_names_of_any_bytes(example, tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.flac"
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(example.read_bytes())
    done = subprocess.run([*E2V, "recognize", path], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert rb"caf\xe9.flac" in done.stdout
    done = subprocess.run(
        [*E2V, "batch", "-", "-o", tmp_path / "out"],
        input=path + b"\n",
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert rb"caf\\xe9.flac" in (tmp_path / "out" / "results.jsonl").read_bytes()


def test_a_timeline_for_other_tools(example, tmp_path):
    done = e2v("recognize", example, "--format", "srt", "--window", 1, "--hop", 0.5, "--plot",
               tmp_path / "x.svg")  # fmt: skip
    assert done.stdout.startswith(b"1\n00:00:00,000 --> ")
    assert "<svg" in (tmp_path / "x.svg").read_text()
    longer = e2v("recognize", example, "--format", "srt", "--min-segment", 5)
    assert longer.stdout.count(b"-->") == 1
    for option in (["--format", "vtt"], ["--plot", tmp_path / "y.png"]):
        done = e2v("recognize", example, example, *option)
        assert done.returncode == 2
        assert b"of one recording, and 2 were given" in done.stderr
    assert e2v("recognize", example, "--plot", tmp_path / "x.gif").returncode == 2


def test_limits_from_the_command_line(example):
    done = e2v("recognize", example, "--max-seconds", 2)
    assert done.returncode == 3
    assert b"5 s long, at most 2 s are taken; raise --max-seconds" in done.stderr
    (report,) = reports(e2v("recognize", example, "--max-seconds", 2, "--cut", "--format", "jsonl"))
    assert report["seconds"] == 2.0
    assert report["warnings"][0]["code"] == "cut"
    assert e2v("recognize", example, "--chunk-seconds", 0).returncode == 2


def test_progress_on_a_terminal_and_none_in_a_pipe(tmp_path, example_samples):
    import soundfile

    long = tmp_path / "long.flac"
    soundfile.write(long, np.resize(example_samples, 90 * 16_000), 16_000)
    code, seen = on_a_terminal("recognize", long, cwd=tmp_path)
    assert code == 0
    assert "long.flac" in seen
    assert "100%" in seen
    assert e2v("recognize", long).stderr == b""
    (tmp_path / "letter.wav").write_text("no audio")
    code, seen = on_a_terminal("batch", tmp_path, "-o", tmp_path / "out", cwd=tmp_path)
    assert code == 1
    assert "2/2" in seen
    assert "x real time, 1 failed" in seen
    assert "letter.wav: neither libsndfile" in seen


def test_embeddings_do_not_overwrite_each_other(tmp_path, example, embedding_shape):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.flac").write_bytes(example.read_bytes())
    done = e2v("recognize", tmp_path / "a/x.flac", tmp_path / "b/x.flac", "--embedding",
               tmp_path / "out", "--format", "jsonl")  # fmt: skip
    paths = [report["embedding"] for report in reports(done)]
    assert len(set(paths)) == 2
    assert all(np.load(path).shape == embedding_shape for path in paths)


def test_one_bad_file_does_not_stop_the_others(tmp_path, example):
    letter = tmp_path / "letter.wav"
    letter.write_text("This is a letter, not a recording.")
    done = e2v("recognize", letter, example, tmp_path / "gone.wav", "--format", "jsonl")
    assert done.returncode == 1
    assert [report["file"] for report in reports(done)] == [str(example)]
    errors = done.stderr.decode()
    assert "letter.wav: neither libsndfile" in errors
    assert "gone.wav: No such file" in errors
    assert "Traceback" not in errors


def test_all_bad_files(tmp_path):
    done = e2v("recognize", tmp_path / "a.wav", tmp_path / "b.wav", "--format", "json")
    assert done.returncode == 3
    assert json.loads(done.stdout) == []


def test_an_output_folder_that_is_missing(example, tmp_path):
    done = e2v("recognize", example, "-o", tmp_path / "no" / "x.json")
    assert done.returncode == 1
    assert b"no/x.json" in done.stderr


def test_a_source_that_fails_as_a_disk_does_fails_alone(tmp_path, example):
    (tmp_path / "sitecustomize.py").write_text(
        "import errno, os, sys\n"
        "def audit(event, args):\n"
        "    if event == 'open' and str(args[0]).endswith('broken.wav'):\n"
        "        raise OSError(errno.EIO, os.strerror(errno.EIO), args[0])\n"
        "sys.addaudithook(audit)\n"
    )
    (tmp_path / "broken.wav").write_bytes(example.read_bytes())
    done = e2v("recognize", tmp_path / "broken.wav", "/proc/self/mem", tmp_path, example,
               "--format", "jsonl", PYTHONPATH=before_path(tmp_path))  # fmt: skip
    assert done.returncode == 1
    assert [report["file"] for report in reports(done)] == [str(example)]
    broken, memory, folder = done.stderr.decode().splitlines()
    assert "broken.wav: Input/output error" in broken
    assert "/proc/self/mem: " in memory
    assert f"{tmp_path}: is a folder" in folder


def test_a_recording_that_the_model_fails_on_fails_alone(example, monkeypatch):
    encode, calls = Pipeline.encode, []

    def failing(*args, **options):
        calls.append(1)
        if len(calls) == 1:
            raise NonFiniteError("the model gave NaN")
        return encode(*args, **options)

    monkeypatch.setattr(Pipeline, "encode", failing)
    done = CliRunner().invoke(
        recognize, [str(example), str(example), "--format", "jsonl"], standalone_mode=False
    )
    assert done.return_value == 1
    assert len(done.stdout.splitlines()) == 1
    assert "e2v: the model gave NaN" in done.stderr


@pytest.mark.parametrize("kind", ["closed", "file", "device", "full", "damaged"])
def test_a_cache_or_a_home_that_cannot_be_used_costs_time_alone(kind, tmp_path):
    folder = tmp_path / "cache"
    if kind == "closed":  # as for a user without rights, which root is not
        (tmp_path / "sitecustomize.py").write_text(
            "import errno, os, sys\n"
            "def audit(event, args):\n"
            "    if event in ('open', 'os.mkdir', 'os.rename', 'os.listdir', 'os.scandir'):\n"
            f"        if str(args[0]).startswith({str(folder)!r}):\n"
            "            raise PermissionError(errno.EACCES, 'Permission denied', args[0])\n"
            "sys.addaudithook(audit)\n"
        )
    elif kind == "file":
        folder.write_text("a file")
    elif kind == "damaged":
        for name in ("verified.json", "prepared"):
            (folder / name).mkdir(parents=True)
    place = {"device": "/dev/null", "full": "/dev/full/x"}.get(kind, str(folder))
    for env in ({"E2V_CACHE": place}, {"E2V_CACHE": "", "XDG_CACHE_HOME": place, "HOME": place},
                {"E2V_CACHE": "", "XDG_CACHE_HOME": "", "HOME": place}):  # fmt: skip
        env["PYTHONPATH"] = before_path(tmp_path)
        done = e2v("recognize", "--examples", "--format", "jsonl", **env)
        assert done.returncode == 0, done.stderr
        assert len(reports(done)) == 3
        assert done.stderr == b""


def test_a_user_without_a_home_recognizes_too(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import pathlib\n"
        "def home():\n"
        "    raise RuntimeError('Could not determine home directory.')\n"
        "pathlib.Path.home = home\n"
    )
    env = {"E2V_CACHE": "", "XDG_CACHE_HOME": "", "PYTHONPATH": before_path(tmp_path)}
    done = e2v("recognize", "--examples", "--format", "jsonl", **env)
    assert done.returncode == 0, done.stderr
    assert len(reports(done)) == 3
    assert done.stderr == b""
