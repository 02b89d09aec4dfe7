"""The cache of prepared files: what is taken from it, and what is never seen half-made."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.engine.recognizer import opening_of
from emotion2vec_edge.engine.runtime.prepared import PreparedEntry
from emotion2vec_edge.engine.runtime.providers import CPU

CLI = [sys.executable, "-m", "emotion2vec_edge.engine.cli"]


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("E2V_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def noise(rng):
    return rng.standard_normal(32_000).astype(np.float32)


@pytest.fixture
def entry():
    """That of the embedded model on the processor; nothing is prepared yet."""
    opening = opening_of(Recognizer.load())
    return CPU.entry(opening.selected, opening.config)


def write(folder):
    (folder / "encoder.engine").write_bytes(b"the encoder")
    (folder / "encoder.data").write_bytes(bytes(1000))


def test_files_are_made_once(entry):
    assert entry.find() is None
    calls = []
    entry.make(lambda folder: (calls.append(1), write(folder)))
    entry.make(lambda folder: (calls.append(1), write(folder)))
    assert len(calls) == 1
    assert (entry.find() / "encoder.engine").read_bytes() == b"the encoder"


def change_size(content):
    with (content / "encoder.data").open("ab") as file:
        file.write(b"x")


def flip_bits(content):
    """Size and time stay."""
    path = content / "encoder.data"
    status = path.stat()
    changed = bytearray(path.read_bytes())
    for position in range(0, len(changed), len(changed) // 20):
        changed[position] ^= 1 << position % 8
    path.write_bytes(changed)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replace_file(content):
    other = content.parent / "other"
    shutil.copytree(content, other)
    flip_bits(other)
    (other / "encoder.data").replace(content / "encoder.data")


def lose_a_file(content):
    (content / "encoder.data").unlink()


def pipe(content):
    lose_a_file(content)
    os.mkfifo(content / "encoder.data")


def forget(content):
    (content.parent / "ready.json").unlink()


def garble(content):
    (content.parent / "ready.json").write_text("[1, 2")


def pipe_instead_of_the_declaration(content):
    forget(content)
    os.mkfifo(content.parent / "ready.json")


def device_instead_of_the_declaration(content):
    forget(content)
    (content.parent / "ready.json").symlink_to("/dev/zero")


DAMAGES = [
    change_size, flip_bits, replace_file, lose_a_file, pipe, forget, garble,
    pipe_instead_of_the_declaration, device_instead_of_the_declaration,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_are_not_taken_and_made_again(noise, entry, damage):
    expected = Recognizer.load(prepare=True).recognize(noise, 16_000).scores
    damage(entry.find())
    assert entry.find() is None
    assert Recognizer.load().recognize(noise, 16_000).scores == expected
    assert Recognizer.load(prepare=True).recognize(noise, 16_000).scores == expected
    content = entry.find()
    assert content is not None
    assert [path for path in entry.folder.iterdir() if path.is_dir()] == [content]


@pytest.mark.parametrize(
    "document",
    [
        None, [], {}, "x", {"facts": 1}, {"facts": None, "files": 5},
        {"files": {"a": 1}}, {"files": [{"path": "a"}]}, {"files": [5]}, {"folder": 5},
        {"folder": ".."}, {"files": [{"path": 1, "bytes": 1, "sha256": 1}]},
        {"files": [{"path": "a\0", "bytes": 1, "sha256": ""}]}, {"model": "another"},
    ],
)  # fmt: skip
def test_a_declaration_of_another_form_declares_nothing(entry, document):
    entry.make(write)
    path = entry.folder / "ready.json"
    if isinstance(document, dict) and document:
        document = json.loads(path.read_text()) | document
    path.write_text(json.dumps(document))
    assert entry.find() is None
    path.write_text("[" * 100_000)
    assert entry.find() is None


def test_the_files_of_another_model_are_not_taken(entry):
    """Wherever they lie: they say which model they are of."""
    entry.make(write)
    other = dataclasses.replace(entry, model="0" * 64)
    assert other.find() is None
    moved = dataclasses.replace(entry, folder=entry.folder.parent / "elsewhere")
    shutil.copytree(entry.folder, moved.folder)
    assert moved.find() is not None
    assert dataclasses.replace(moved, facts={"onnxruntime": "9.9"}).find() is None


def test_a_build_that_fails_leaves_nothing(entry):
    def broken(folder):
        write(folder)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        entry.make(broken)
    assert not entry.folder.exists()

    entry.make(write)
    content = entry.find()
    (entry.folder / "ready.json").write_text("")
    with pytest.raises(OSError, match="No space left"):
        entry.make(broken)
    assert [path for path in entry.folder.iterdir() if path.is_dir()] == [content]


def test_two_processes_make_it_once(entry):
    """The second one waits for the first, and takes what it made."""
    calls = []

    def slow(folder):
        calls.append(1)
        time.sleep(0.3)
        write(folder)

    threads = [threading.Thread(target=entry.make, args=(slow,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1]
    assert entry.find() is not None


SERVE = """
import sys
import numpy as np
from emotion2vec_edge.engine import Recognizer
samples = np.random.default_rng(0).standard_normal(32_000).astype(np.float32)
recognizer = Recognizer.load()
mapped = any("prepared" in line for line in open("/proc/self/maps"))
print("mapped" if mapped else "not mapped", flush=True)
for line in sys.stdin:
    print(sorted(recognizer.recognize(samples, 16_000).scores.items()), flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_process_that_serves_is_not_disturbed_by_one_that_prepares(entry):
    """The mapped files stay as they are; to write into them would end the process."""

    def warm_up():
        done = subprocess.run([*CLI, "warmup"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    warm_up()
    first = entry.find()
    with subprocess.Popen([sys.executable, "-c", SERVE], stdin=-1, stdout=-1, text=True) as server:

        def ask():
            server.stdin.write("\n")
            server.stdin.flush()
            return server.stdout.readline()

        assert server.stdout.readline() == "mapped\n"
        expected = ask()
        assert "neutral" in expected
        for damage in (garble, forget, flip_bits_of_the_declaration):
            damage(entry.find())
            warm_up()
            assert entry.find() not in (None, first)
            assert ask() == expected
        server.stdin.close()
    assert server.returncode == 0


def flip_bits_of_the_declaration(content):
    path = content.parent / "ready.json"
    path.write_text(path.read_text().replace('"sha256": "', '"sha256": "0'))


def test_the_command_says_what_it_did(cache):
    done = subprocess.run([*CLI, "warmup"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert str(cache / "prepared") in done.stdout
    assert "1 s of audio: first" in done.stdout


def test_an_entry_keeps_files_that_may_change_out_of_its_declaration(entry):
    volatile = dataclasses.replace(entry, volatile="*.data")
    volatile.make(write)
    (volatile.find() / "encoder.data").write_bytes(b"other")
    assert volatile.find() is not None
    (volatile.find() / "encoder.engine").write_bytes(b"other")
    assert volatile.find() is None


def test_facts_are_part_of_the_place(entry):
    opening = opening_of(Recognizer.load())
    bundle = opening.selected.bundle
    here = PreparedEntry.of(bundle, "int8", "cpu", {"a": "1"})
    assert here.folder != PreparedEntry.of(bundle, "int8", "cpu", {"a": "2"}).folder
    assert here.folder != PreparedEntry.of(bundle, "fp32", "cpu", {"a": "1"}).folder
    assert here.folder.parent == entry.folder.parent
