"""Outputs, caches and bundles on a disk that fails: whole or as before, and an error that names it."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from faults import Killed, count, each_fault

from emotion2vec_edge.engine import open_bundle
from emotion2vec_edge.engine.bundle import locate
from emotion2vec_edge.engine.bundle.integrity import remember, sha256_of
from emotion2vec_edge.engine.cli.recognize import recognize
from emotion2vec_edge.engine.corpora.feedback import Correction, FeedbackStore, write_manifest
from emotion2vec_edge.engine.errors import BundleFormatError, BundleTamperedError, OutputError
from emotion2vec_edge.engine.files import atomic_folder, read_regular

DIM = open_bundle().manifest.architecture.embed_dim
"""Width of the embedded model's frames."""
ERRORS = ("EIO", "ENOSPC", "EACCES", "EROFS", "short")


def content(folder):
    """All files of a folder with their contents."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def visible(folder):
    """:func:`content` without what is hidden."""
    return {name: data for name, data in content(folder).items() if name[0] != "."}


def fill(new):
    (new / "sub").mkdir()
    (new / "sub" / "graph").write_bytes(b"new" * 1_000)
    (new / "marker").write_text("new")


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_is_the_old_one_or_the_new_one(tmp_path, exists):
    def make(name):
        work = tmp_path / name
        (work / "model").mkdir(parents=True)
        (work / "model" / "marker").write_text("old")
        if not exists:
            shutil.rmtree(work / "model")
        return work

    def run(work):
        with atomic_folder(work / "model", "marker") as new:
            fill(new)

    calm = make("calm")
    old = content(calm)
    operations = count(calm, lambda: run(calm))
    assert sum(operation.startswith(("replace", "exchange")) for operation in operations) == 1
    for number, faults in enumerate(each_fault(tmp_path / "x", len(operations))):
        work = make(str(number))
        faults.folder = os.path.realpath(work)
        with faults, contextlib.suppress(Killed, OutputError):
            run(work)
        assert faults.happened
        assert visible(work) in (old, content(calm))
        left = [path.name for path in work.iterdir() if path.name != "model"]
        if left:  # only where nothing could clean up
            assert faults.fault == "kill" or "rmdir" in faults.failed or "unlink" in faults.failed
        run(work)
        assert visible(work) == content(calm)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("in") / "a.wav"
    soundfile.write(path, 0.1 * np.sin(np.arange(8_000) / 9), 16_000)
    return path


def answers(work):
    return [result["scores"] for result in json.loads((work / "o.json").read_text())]


def test_recognize_keeps_its_output_whole(clip, tmp_path):
    def run(work):
        return recognize.main(
            [str(clip), str(clip), "--format", "json", "-o", str(work / "o.json")],
            standalone_mode=False,
        )

    calm = tmp_path / "calm"
    calm.mkdir()
    operations = count(calm, lambda: run(calm))
    assert len(answers(calm)) == 2
    for number, faults in enumerate(each_fault(tmp_path / "x", len(operations))):
        work = tmp_path / str(number)
        work.mkdir()
        (work / "o.json").write_text("[]")
        faults.folder = os.path.realpath(work)
        try:
            with faults:
                assert run(work) == 0
            assert answers(work) == answers(calm)  # a short write is completed
            assert set(content(work)) == {"o.json"}
        except OutputError as error:
            assert str(work / "o.json") in str(error)
            assert (work / "o.json").read_text() == "[]"
            assert set(content(work)) <= {"o.json", "o.json.partial"}
        except Killed:
            assert answers(work) in ([], answers(calm))
        assert faults.happened
        assert run(work) == 0
        assert answers(work) == answers(calm)


def test_feedback_keeps_its_manifest_whole(tmp_path):
    corrections = [correction(number) for number in range(20)]
    calm = tmp_path / "calm"
    operations = count(calm, lambda: write_manifest(corrections, calm / "m.csv"))
    whole = content(calm)
    for number, faults in enumerate(each_fault(tmp_path / "x", len(operations))):
        work = tmp_path / str(number)
        faults.folder = os.path.realpath(work)
        with faults, contextlib.suppress(Killed, OutputError):
            write_manifest(corrections, work / "m.csv")
        assert faults.happened
        if faults.fault != "kill" and work.exists():
            assert content(work) in ({}, whole)
        write_manifest(corrections, work / "m.csv")
        assert content(work)["m.csv"] == whole["m.csv"]


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(locate.EMBEDDED / locate.DEFAULT_NAME, folder)
    np.savez(folder / "head.npz", weight=np.ones((9, DIM)), bias=np.zeros(9))
    document = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    path = folder / "head.npz"
    document["head"] = {
        "path": "head.npz", "bytes": path.stat().st_size, "sha256": sha256_of(path),
    }  # fmt: skip
    (folder / "bundle.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def test_a_cache_that_fails_costs_time_alone(bundle, tmp_path, monkeypatch):
    def run(cache):
        monkeypatch.setenv("E2V_CACHE", str(cache))
        opened = open_bundle(bundle)
        opened.verify("int8")
        remember("a fact")

    (tmp_path / "calm").mkdir()
    run(tmp_path / "calm")  # so that there is something to read
    operations = count(tmp_path / "calm", lambda: run(tmp_path / "calm"), reads=True)
    assert any(operation.startswith("read") for operation in operations)
    for number, faults in enumerate(each_fault(tmp_path, len(operations), ERRORS, reads=True)):
        cache = tmp_path / str(number)
        shutil.copytree(tmp_path / "calm", cache)
        faults.folder = os.path.realpath(cache)
        with faults:
            run(cache)
        assert faults.happened
        assert set(content(cache)) == {"verified.json"}
        run(cache)


def test_a_cache_that_a_killed_process_leaves_is_read(bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("E2V_CACHE", str(tmp_path / "calm"))
    operations = count(tmp_path / "calm", lambda: open_bundle(bundle).verify("int8"))
    for number, faults in enumerate(each_fault(tmp_path, len(operations), ["kill"])):
        monkeypatch.setenv("E2V_CACHE", str(tmp_path / str(number)))
        faults.folder = str(tmp_path / str(number))
        with faults, pytest.raises(Killed):
            open_bundle(bundle).verify("int8")
        open_bundle(bundle).verify("int8")


def test_a_bundle_that_cannot_be_read_is_named(bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("E2V_CACHE", str(tmp_path / "file" / "cache"))
    (tmp_path / "file").touch()  # nothing is remembered

    def run():
        opened = open_bundle(bundle)
        opened.verify("int8")
        return opened.head()

    operations = count(bundle, run, reads=True)
    assert {operation.split("/")[-1] for operation in operations} >= {
        "read bundle.json", "encoder.onnx", "frontend.onnx", "read head.npz",
    }  # fmt: skip
    for faults in each_fault(bundle, len(operations), ["EIO", "EACCES", "short"], reads=True):
        with faults:
            try:
                assert run().weight.shape == (9, DIM)
                assert faults.fault == "short"
            except (BundleFormatError, BundleTamperedError) as error:
                assert faults.fault != "short"
                assert str(bundle) in str(error)
        assert faults.happened


def correction(number):
    return Correction(
        path=f"/{number}.wav", label="sad", speaker="x", answered="happy", confidence=0.5,
        seconds=1.0, model="m", encoder="e", embedding=np.full(DIM, number, np.float32),
    )  # fmt: skip


WRITER = """
import sys
sys.path.insert(0, sys.argv[2])
from test_faults_files import correction
from emotion2vec_edge.engine.corpora.feedback import FeedbackStore
store = FeedbackStore(__import__("pathlib").Path(sys.argv[1]))
for number in range(len(store.corrections()), 10_000):
    store.add(correction(number))
    print(number, flush=True)
"""


def test_a_store_loses_nothing_that_was_told_as_kept(tmp_path):
    """SQLite writes in C, so the processes are killed for real."""
    path = tmp_path / "s"
    rng = np.random.default_rng(20261125)
    told = -1
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(Path(__file__).parent)],
            stdout=subprocess.PIPE,
        )
        told = int(process.stdout.readline())
        time.sleep(rng.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        lines = process.communicate()[0].split(b"\n")[:-1]
        told = int(lines[-1]) if lines else told
        kept = FeedbackStore(path).corrections()
        assert len(kept) in (told + 1, told + 2)  # one may have been kept and not yet told
        assert [c.embedding[0] for c in kept] == list(range(len(kept)))
        with contextlib.closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_store_on_a_full_disk_names_itself(tmp_path):
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (40_960, 40_960))\n" + WRITER
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "s"), str(Path(__file__).parent)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "OutputError" in done.stderr
    assert "the feedback store cannot be used" in done.stderr
    kept = FeedbackStore(tmp_path / "s").corrections()
    assert len(kept) == int(done.stdout.split()[-1]) + 1
    FeedbackStore(tmp_path / "s").add(correction(10_000))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_recognize_keeps_its_results(clip, tmp_path, number):
    output = tmp_path / "o.jsonl"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [sys.executable, "-m", "emotion2vec_edge.engine.cli", "recognize", *[str(clip)] * 5_000,
         "--format", "jsonl", "-o", str(output)],
        stderr=subprocess.PIPE,
    )  # fmt: skip
    signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + 120
    while not any(path.stat().st_size for path in tmp_path.iterdir()):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert [path.name for path in tmp_path.iterdir()] == ["o.jsonl"]
    assert all(json.loads(line)["file"] for line in output.read_text().splitlines())


def test_the_injector_reaches_reading(tmp_path):
    """Every way that the project reads a file."""
    path = tmp_path / "a"
    path.write_bytes(bytes(range(32, 232)) * 100)
    ways = {
        "path": path.read_bytes,
        "descriptor": lambda: read_regular(path, 1 << 20),
        "pieces": lambda: read_pieces(path),
        "text": lambda: path.read_text(encoding="latin-1").encode("latin-1"),
    }
    for name, read in ways.items():
        operations = count(tmp_path, read, reads=True)
        assert operations, name
        for faults in each_fault(tmp_path, len(operations), ["short", "EIO"], reads=True):
            if faults.fault == "short":
                with faults:
                    assert read() == bytes(range(32, 232)) * 100
            else:
                with faults, pytest.raises(OSError, match="Input/output"):
                    read()
            assert faults.happened


def read_pieces(path):
    with path.open("rb") as file:
        return b"".join(iter(lambda: file.read(7_000), b""))
