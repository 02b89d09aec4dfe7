"""The `e2v` command in processes of its own: what it prints, and what it ends with."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from recordings import encoded, tone

from emotion2vec_edge.engine import example_recordings
from emotion2vec_edge.engine.cli.doctor import ONE_NODE_GRAPH

E2V = [sys.executable, "-m", "emotion2vec_edge.engine.cli"]


def before_path(folder):
    """PYTHONPATH with a folder in front."""
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))


def e2v(*args, stdin=None, cwd=None, **env):
    return subprocess.run(
        [*E2V, *map(str, args)],
        input=stdin,
        capture_output=True,
        cwd=cwd,
        env={**os.environ, **env},
        check=False,
    )


def reports(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_version_and_help_are_quick():
    """CPU time of a process, the interpreter's own start included."""
    for option in ("--version", "--help"):
        best = min(cpu_seconds(option) for _ in range(5))
        assert best < 0.1, f"{option} took {best:.3f} s"


def cpu_seconds(*args):
    before = os.times()
    assert e2v(*args).returncode == 0
    after = os.times()
    return (after.children_user + after.children_system) - (
        before.children_user + before.children_system
    )


def test_the_help_names_every_verb():
    text = e2v("--help").stdout.decode()
    for verb in ("recognize", "batch", "stream", "export", "quantize", "info", "doctor"):
        assert verb in text
        assert e2v(verb, "--help").returncode == 0


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


def on_a_terminal(*args, cwd):
    """What a person would see of stderr, with the exit code."""
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*E2V, *map(str, args)], stdout=subprocess.DEVNULL, stderr=theirs, cwd=cwd
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 65_536)
        except OSError:  # the other end is closed
            break
        seen += piece
    os.close(ours)
    return process.wait(60), seen.decode()


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


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["recognize"], 2, "no audio"),
        (["recognize", "x.wav", "--format", "xml"], 2, "xml"),
        (["recognize", "--examples", "--threads", "0"], 2, "threads is 0"),
        (["recognize", "--examples", "--precision", "int4"], 2, "int4"),
        (["recognize", "--examples", "--provider", "tpu"], 2, "tpu"),
        (
            ["recognize", "--examples", "--granularity", "frame", "--window", "0"],
            2,
            "a window of 0.0 s; give 0.02 to 1,000,000 s",
        ),
        (["recognize", "gone.wav"], 3, "No such file"),
        (["recognize", "--examples", "--channel", "5"], 3, "no channel 5"),
        (["recognize", "--examples", "--model", "gone"], 4, "not a model bundle"),
        (["recognize", "--examples", "--precision", "fp16"], 4, "no fp16 variant"),
        (["recognize", "--examples", "--provider", "cuda"], 5, "CUDAExecutionProvider"),
        (["info", "gone"], 4, "not a model bundle"),
        (["sing"], 2, "No such command"),
    ],
)
def test_exit_codes(args, code, message):
    done = e2v(*args)
    assert done.returncode == code
    assert message in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_a_full_disk_keeps_a_message_and_a_code(example):
    done = e2v("recognize", example, "-o", "/dev/full/x.json")
    assert done.returncode == 1
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*E2V, "recognize", str(example)], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 1
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_disk_that_fills_up_keeps_what_could_be_written(tmp_path):
    import resource

    def limit():  # a file may not grow beyond 16 KiB; the kernel's signal is ignored by Python
        resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, 16_384))

    done = subprocess.run(
        [*E2V, "recognize", "--examples", "--granularity", "frame", "--format", "jsonl",
         "-o", str(tmp_path / "o.jsonl")],
        capture_output=True, check=False, preexec_fn=limit,
    )  # fmt: skip
    assert done.returncode == 1
    assert b"o.jsonl: cannot be written" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["o.jsonl.partial"]


def test_an_output_folder_that_is_missing(example, tmp_path):
    done = e2v("recognize", example, "-o", tmp_path / "no" / "x.json")
    assert done.returncode == 1
    assert b"no/x.json" in done.stderr


def test_interrupted(example, tmp_path):
    """Ctrl-C ends with 130, and what was computed is kept as well-formed JSON."""
    output = tmp_path / "out.json"
    # A shell's background job ignores SIGINT, and hands that on to its children.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [*E2V, "recognize", *[str(example)] * 5_000, "--format", "json", "-o", str(output)],
        stderr=subprocess.PIPE,
    )
    signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in tmp_path.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in errors
    assert len(json.loads(output.read_text())) >= 1


def test_a_reader_that_goes_away(example):
    process = subprocess.Popen(
        [*E2V, "recognize", *[str(example)] * 200, "--format", "jsonl"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 1  # not everything was delivered
    assert errors == b""


def test_info(tmp_path):
    text = e2v("info").stdout.decode()
    for fact in ("angry (生气)", "CC BY-NC-SA 4.0", " M parameters", "fp32", "parity"):
        assert fact in text
    assert json.loads(e2v("info", "--format", "json").stdout)["schema"] == 2


def test_doctor():
    done = e2v("doctor")
    text = done.stdout.decode()
    assert done.returncode == 0
    for fact in ("ok  cpu", "soundfile", "threads usable", "emotion2vec_small"):
        assert fact in text


def test_doctor_with_a_missing_model():
    done = e2v("doctor", E2V_MODEL="gone")
    assert done.returncode == 4
    assert b"from E2V_MODEL" in done.stdout


def test_the_probe_of_the_doctor_is_one_add():
    import onnx
    from onnx import TensorProto, helper

    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "probe", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    assert onnx.load_from_string(ONE_NODE_GRAPH) == model


def test_export_without_torch_says_what_to_install(tmp_path):
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\")")
    done = e2v("export", tmp_path, "-o", tmp_path / "out", PYTHONPATH=before_path(tmp_path))
    assert done.returncode == 2
    assert b"pip install 'emotion2vec-edge[cpu,export]'" in done.stderr


def test_export_from_the_command_line(small_checkpoint, tmp_path):
    done = e2v("export", small_checkpoint, "-o", tmp_path / "small", "--offline",
               "--precision", "int8", "--precision", "fp16")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"int8, " in done.stdout
    assert b"fp16, " in done.stdout
    assert b"differs from torch by at most" in done.stdout
    assert b"parity: 592000 samples" in done.stderr
    done = e2v("recognize", "--examples", "--model", tmp_path / "small", "--format", "jsonl")
    assert sorted(p.name for p in (tmp_path / "small").iterdir()) == [
        "bundle.json", "fp16", "fp32", "int8",
    ]  # fmt: skip
    assert len(reports(done)) == 3


def test_quantize_refuses_from_the_command_line(tmp_path):
    import shutil

    from emotion2vec_edge.engine import open_bundle

    folder = tmp_path / "model"
    shutil.copytree(open_bundle("emotion2vec_small").folder, folder)
    done = e2v("quantize", folder, "--precision", "int8", "--agreement", "1.01")
    assert done.returncode == 4
    assert b"(limit 1.01)" in done.stderr
    assert b"is as it was" in done.stderr
    done = e2v("quantize", folder, "--precision", "int4")
    assert done.returncode == 2
    done = e2v("quantize", folder, "--precision", "int8", "--calibration", tmp_path / "gone")
    assert done.returncode == 2
    assert b"no such manifest" in done.stderr
    done = e2v("quantize", tmp_path, "--precision", "int8")
    assert done.returncode == 4


def test_export_of_nothing(tmp_path):
    done = e2v("export", tmp_path / "gone", "-o", tmp_path / "out")
    assert done.returncode == 4
    assert b"no such folder" in done.stderr
