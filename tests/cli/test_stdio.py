"""Standard streams that are closed, full, left by their reader, or of another encoding."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from commands import E2V, e2v, reports


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


def shell(line, *args, **env):
    """A line of a shell in which "$@" is an e2v command."""
    return subprocess.run(
        ["bash", "-c", line, "bash", *E2V, *map(str, args)],
        capture_output=True, check=False, timeout=120, env={**os.environ, **env},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "args", "code", "message"),
    [
        ('"$@" >&-', ["recognize", "--examples"], 1, b"<stdout>: Bad file descriptor"),
        ('"$@" >&-', ["recognize", "gone.wav", "--format", "csv"], 3, b"gone.wav: No such file"),
        ('"$@" >&-', ["--version"], 1, b"<stdout>: Bad file descriptor"),
        ('"$@" >&-', ["info"], 1, b"<stdout>: Bad file descriptor"),
        ('"$@" <&-', ["recognize", "--examples"], 0, b""),
        ('"$@" <&-', ["recognize", "-"], 3, b"cannot be read: Bad file descriptor"),
        ('"$@" <&-', ["stream", "-", "--rate", "16000"], 3, b"cannot be read: Bad file"),
        ('"$@" <&-', ["batch", "-", "-o", "out"], 2, b"stdin: cannot be read: Bad file"),
        ('"$@" 2>&-', ["recognize", "gone.wav"], 3, b""),
        ('"$@" 2>/dev/full', ["recognize", "gone.wav"], 3, b""),
        ('"$@" 2>/dev/full', ["recognize", "--format", "xml"], 2, b""),
        ('"$@" >&- 2>&- <&-', ["recognize", "--examples"], 1, b""),
    ],
)
def test_streams_that_are_closed_or_full(line, args, code, message, tmp_path):
    done = shell(f"cd {tmp_path} && {line}", *args)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


def test_results_go_to_a_file_whatever_the_streams_are(tmp_path, example):
    """None of our files may get the number of a closed stream."""
    expected = reports(e2v("recognize", example, "--format", "jsonl"))
    done = shell(
        f'"$@" -o {tmp_path / "o.jsonl"} <&- >&- 2>&-', "recognize", example, "--format", "jsonl"
    )
    assert done.returncode == 0
    (found,) = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert found["scores"] == expected[0]["scores"]


def test_messages_that_nobody_reads_stop_nothing(example, tmp_path):
    """The reader of stderr went away: the results still come."""
    done = shell('"$@" 2> >(true) | wc -l; exit ${PIPESTATUS[0]}',
                 "recognize", *[tmp_path / "gone.wav"] * 20, example, "--format", "jsonl")  # fmt: skip
    assert done.returncode == 1
    assert int(done.stdout) == 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_stdout_of_another_encoding(encoding, example, tmp_path):
    named = tmp_path / "生气.flac"
    named.write_bytes(example.read_bytes())
    for args in (["recognize", named], ["recognize", named, "--format", "json"],
                 ["recognize", named, "--format", "csv"], ["info"], ["doctor"],
                 ["batch", named, "-o", tmp_path / "out"],
                 ["stream", named, "--format", "jsonl"], ["stream", named, "--format", "line"],
                 ["--help"], ["recognize", "--help"]):  # fmt: skip
        done = e2v(*args, PYTHONIOENCODING=encoding)
        assert done.returncode == 0, done.stderr
        assert b"Traceback" not in done.stderr
    done = e2v("recognize", named, PYTHONIOENCODING=encoding)
    assert rb"\u751f\u6c14.flac" in done.stdout
    assert b"% ####" in done.stdout.replace(b"  ", b" ")


def test_formats_for_programs_are_utf_8_everywhere(example, tmp_path):
    named = tmp_path / "生气.flac"
    named.write_bytes(example.read_bytes())
    for format_ in ("json", "csv", "srt", "textgrid"):
        outputs = [
            e2v("recognize", named, "--format", format_, PYTHONIOENCODING=encoding).stdout
            for encoding in ("utf-8", "latin-1")
        ]
        texts = [re.sub(r'"(de|en)code": [^,}]*', "", output.decode()) for output in outputs]
        assert texts[0] == texts[1]
    done = e2v("stream", named, "--format", "jsonl", PYTHONIOENCODING="ascii")
    assert json.loads(done.stdout.splitlines()[0])["end"] == 2.0
