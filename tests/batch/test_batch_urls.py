"""Batches of recordings in stores."""

import io
import json
import os
import sys

import pytest
import soundfile
from batches import answers, everything_is_whole, make_calls, one_run, rows

from emotion2vec_edge.engine import objects
from emotion2vec_edge.engine.batch.inputs.discover import collect
from emotion2vec_edge.engine.errors import OptionError

fsspec = pytest.importorskip("fsspec", reason="SKIPPED LOUDLY: pip install fsspec")

COUNT = int(os.environ.get("E2V_S3_RECORDINGS", "40"))
"""Number of objects on the S3 server; of 1,000 the larger proof takes some minutes."""


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    return make_calls(tmp_path_factory.mktemp("in") / "calls")


@pytest.fixture
def store(calls):
    """The calls below memory://bucket/calls."""
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    for path in calls.rglob("*.wav"):
        memory.pipe(f"/bucket/calls/{path.relative_to(calls)}", path.read_bytes())
    yield memory
    memory.store.clear()


def found(*inputs):
    return [(item.path, item.place) for item in collect(inputs, io.StringIO())]


def renamed(results, folder, url):
    """Answers without the names and times of the files."""
    kept, failures = results
    texts = json.dumps([sorted(kept.items()), sorted(failures.items())]).replace(str(folder), url)
    kept, failures = json.loads(texts)
    for _, values in kept:
        del values[1]["mtime_ns"]
    return kept, failures


def test_prefixes_patterns_lists_and_objects_are_found(store, tmp_path):
    first = "memory://bucket/calls/day0/0.wav"
    everything = found("memory://bucket/calls")
    assert len(everything) == 9
    assert everything[0] == (first, "calls/day0/0.wav")
    assert found("memory://bucket/calls/") == everything
    assert len(found("memory://bucket/calls/day1/*.wav")) == 4
    assert found(first) == [(first, "bucket/calls/day0/0.wav")]
    store.pipe("/bucket/day.txt", b"calls/day0/0.wav\n# no\nmemory://bucket/calls/day1/0.wav\n")
    second = "memory://bucket/calls/day1/0.wav"
    assert [path for path, _ in found("memory://bucket/day.txt")] == [first, second]
    (tmp_path / "local.txt").write_text(f"{first}\n{second}\n{first}\n")
    assert [path for path, _ in found(str(tmp_path / "local.txt"))] == [first, second]
    store.pipe("/bucket/wav.scp", f"a {first}\n".encode())
    assert collect(["memory://bucket/wav.scp"], io.StringIO())[0].id == "a"


def test_names_of_objects_do_not_leave_the_folder_of_results(store):
    store.pipe("/bucket/../../x.wav", b"")
    assert not [place for _, place in found("memory://bucket/") if ".." in place.split("/")]


def test_an_empty_prefix_and_a_missing_list_are_refused(store):
    store.pipe("/empty/notes.md", b"")
    with pytest.raises(OptionError, match="no recordings there"):
        found("memory://empty")
    with pytest.raises(OptionError, match=r"gone\.txt: cannot be read"):
        found("memory://bucket/gone.txt")


def test_results_are_those_of_local_files_and_a_later_run_skips_them(
    store, calls, recognizer, tmp_path
):
    url = "memory://bucket/calls"
    one_run(recognizer, tmp_path / "far", [url])
    one_run(recognizer, tmp_path / "near", [str(calls)])
    far, near = answers(tmp_path / "far"), answers(tmp_path / "near")
    assert len(far[0]) == 8
    assert renamed(far, url, url) == renamed(near, calls, url)
    again = one_run(recognizer, tmp_path / "far", [url])
    assert (again.skipped, again.done) == (8, 0)
    changed = store.cat("/bucket/calls/day0/1.wav")
    store.rm("/bucket/calls/day0/1.wav")
    store.pipe("/bucket/calls/day0/1.wav", changed)  # the same bytes, at another time
    assert one_run(recognizer, tmp_path / "far", [url]).done == 1


def test_an_object_that_is_gone_is_a_failure_of_its_own(store, recognizer, tmp_path):
    inputs = ["memory://bucket/calls/day0/0.wav", "memory://bucket/gone.wav"]
    progress = one_run(recognizer, tmp_path / "out", inputs)
    assert (progress.done, progress.failed) == (1, 1)
    assert "gone.wav" in next(iter(answers(tmp_path / "out")[1]))


def test_nothing_is_imported_for_local_files(calls, recognizer, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    assert one_run(recognizer, tmp_path / "out", [str(calls)]).done == 8


@pytest.fixture
def waits(monkeypatch):
    """Number of times that the engine has asked again, beside what clients do by themselves."""
    counted = []
    monkeypatch.setattr(objects, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(objects.random, "uniform", lambda *_: counted.append(1) or 1.0)
    return counted


@pytest.mark.slow
def test_s3_of_whose_requests_some_fail(recognizer, example_samples, tmp_path, monkeypatch, waits):
    """Nothing is lost and nothing double: the results at a prefix are those of local files."""
    from object_server import s3_server

    near = tmp_path / "near"
    near.mkdir()
    for number in range(COUNT):
        start = number * 100 % (len(example_samples) - 4_000)
        soundfile.write(near / f"{number}.wav", example_samples[start:][:4_000], 16_000)
    one_run(recognizer, tmp_path / "local", [str(near)])
    monkeypatch.setenv("E2V_CACHE", str(tmp_path / "cache"))
    with s3_server(monkeypatch, "bucket") as server:
        import s3fs

        s3fs.S3FileSystem().put(str(near), "bucket/calls", recursive=True)
        s3fs.S3FileSystem.clear_instance_cache()
        before, server.share = server.requests, 0.05
        first = one_run(recognizer, "s3://bucket/out", ["s3://bucket/calls"])
        requests, failed = server.requests - before, server.failed
        print(f"{COUNT} objects: {requests} requests, {failed} failed, {len(waits)} asked again")  # noqa: T201 - for pytest -rP
        monkeypatch.setenv("E2V_CACHE", str(tmp_path / "another machine"))
        again = one_run(recognizer, "s3://bucket/out", ["s3://bucket/calls"])
        server.share = 0.0
        s3fs.S3FileSystem().get("bucket/out/", str(tmp_path / "out"), recursive=True)
    assert failed >= COUNT / 20
    assert (first.done, first.failed) == (COUNT, 0)
    assert (again.skipped, again.done) == (COUNT, 0)
    assert len(rows(tmp_path / "out" / "results.jsonl")) == COUNT
    assert len(list((tmp_path / "out" / "results").rglob("*.json"))) == COUNT
    url = "s3://bucket/calls"
    far = renamed(answers(tmp_path / "out"), url, url)
    assert far == renamed(answers(tmp_path / "local"), near, url)
    everything_is_whole(tmp_path / "out")
