"""Results of a batch at a prefix of an object store."""

import contextlib
import io
import itertools
import json
import sys

import numpy as np
import pytest
from batches import e2v, make_calls, one_run

from emotion2vec_edge.engine import objects
from emotion2vec_edge.engine.batch.inputs.discover import collect
from emotion2vec_edge.engine.batch.output import prefix
from emotion2vec_edge.engine.batch.output.folder import OutputFolder
from emotion2vec_edge.engine.batch.output.parquet import ParquetTables
from emotion2vec_edge.engine.batch.output.prefix import PrefixFolder, open_output
from emotion2vec_edge.engine.batch.run import BatchRun
from emotion2vec_edge.engine.batch.settings import BatchSettings
from emotion2vec_edge.engine.batch.worker import Worker
from emotion2vec_edge.engine.errors import MissingExtraError, OutputError

fsspec = pytest.importorskip("fsspec", reason="SKIPPED LOUDLY: pip install fsspec")

URL = "memory://bucket/out/"


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    return make_calls(tmp_path_factory.mktemp("in") / "calls")


@pytest.fixture
def store(monkeypatch, tmp_path):
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    monkeypatch.setattr(objects, "FIRST_WAIT", 0.0)
    monkeypatch.setenv("E2V_CACHE", str(tmp_path / "cache"))
    yield memory
    memory.store.clear()


def run(recognizer, calls, settings=None, most=None, parquet=None):
    """A run with its results at the prefix, up to so many outcomes; its progress."""
    settings = settings or BatchSettings()
    with open_output(URL) as folder:
        batch_run = BatchRun(folder, collect([str(calls)], sys.stdin), "r", parquet=parquet)
        worker = Worker(recognizer, folder.path, settings, "r")
        with contextlib.closing(batch_run.outcomes(worker)) as outcomes:
            list(itertools.islice(outcomes, most))
    return batch_run.progress


def there(store):
    """What lies at the prefix: content by place."""
    base = "/bucket/out/"
    return {name.removeprefix(base): store.cat(name) for name in store.find("/bucket/out")}


def scores(content):
    return {row["file"]: row["scores"] for row in map(json.loads, content.splitlines())}


def test_the_prefix_has_what_a_folder_would_have(store, calls, recognizer, tmp_path):
    settings = BatchSettings(formats=("srt",), embeddings=True)
    run(recognizer, calls, settings)
    one_run(recognizer, tmp_path / "near", [calls], settings)
    found = there(store)
    near = {
        str(path.relative_to(tmp_path / "near")): path.read_bytes()
        for path in (tmp_path / "near").rglob("*")
        if path.is_file()
    }
    assert found.keys() == near.keys()
    assert scores(found["results.jsonl"]) == scores(near["results.jsonl"])
    for place, content in near.items():
        if place.endswith((".srt", ".npy")):
            assert found[place] == content
    assert json.loads(found["summary.json"])["state"] == "finished"
    assert not [path for path in (tmp_path / "cache" / "batches").rglob("*") if path.is_file()]


def test_parquet_has_the_embeddings_that_another_machine_made(
    store, calls, recognizer, monkeypatch, tmp_path
):
    parquet = pytest.importorskip("pyarrow.parquet", reason="SKIPPED LOUDLY: pip install pyarrow")
    settings = BatchSettings(embeddings=True)
    run(recognizer, calls, settings, most=5)
    monkeypatch.setenv("E2V_CACHE", str(tmp_path / "elsewhere"))
    run(recognizer, calls, settings, parquet=ParquetTables(embeddings=True))
    found = there(store)
    table = parquet.read_table(io.BytesIO(found["results.parquet"])).to_pylist()
    assert len(table) == 9
    for row, line in zip(map(json.loads, found["results.jsonl"].splitlines()), table, strict=False):
        assert line["file"] == row["file"]
        vector = np.load(io.BytesIO(found[row["embedding"]]))
        np.testing.assert_array_equal(line["embedding"], vector)


def test_a_table_of_an_earlier_run_is_removed(store, calls, recognizer):
    run(recognizer, calls, parquet=ParquetTables())
    assert "results.parquet" in there(store)
    run(recognizer, calls)
    assert "results.parquet" not in there(store)
    assert "results.csv" in there(store)


def test_another_machine_goes_on(store, calls, recognizer, monkeypatch, tmp_path):
    assert run(recognizer, calls, most=5).done == 4  # and letter.wav
    monkeypatch.setenv("E2V_CACHE", str(tmp_path / "elsewhere"))
    progress = run(recognizer, calls)
    assert (progress.skipped, progress.done, progress.failed) == (4, 4, 1)
    assert len(scores(there(store)["results.jsonl"])) == 8


@pytest.mark.parametrize("same_machine", [True, False])
def test_a_store_that_fails_ends_the_run_and_loses_nothing(
    store, calls, recognizer, monkeypatch, tmp_path, same_machine
):
    calm, left = prefix.put, iter(range(3))

    def put(file, url):
        if next(left, None) is None:
            raise OSError("the store is gone")
        calm(file, url)

    monkeypatch.setattr(prefix, "put", put)
    with pytest.raises(OutputError, match=r"memory://bucket/out: .*the store is gone"):
        run(recognizer, calls)
    monkeypatch.setattr(prefix, "put", calm)
    if not same_machine:
        monkeypatch.setenv("E2V_CACHE", str(tmp_path / "elsewhere"))
    progress = run(recognizer, calls)
    assert progress.done + progress.skipped == 8
    found = there(store)
    lines = found["results.jsonl"].splitlines()
    assert len(lines) == len(scores(found["results.jsonl"])) == 8
    assert {json.loads(line)["result"] for line in lines} <= found.keys()


def test_the_logs_follow_while_a_run_goes_on(store, calls, recognizer, monkeypatch):
    monkeypatch.setattr(prefix, "LOG_SECONDS", 0.0)
    monkeypatch.setattr(prefix, "LOG_PAUSE", 0)
    with PrefixFolder(URL) as folder:
        batch_run = BatchRun(folder, collect([str(calls)], sys.stdin), "r")
        counts = [
            len(store.cat("/bucket/out/results.jsonl").splitlines())
            for _ in batch_run.outcomes(Worker(recognizer, folder.path, BatchSettings(), "r"))
            if store.exists("/bucket/out/results.jsonl")
        ]
    assert counts == sorted(counts)
    assert 0 < max(counts) < 8


def test_rows_of_the_prefix_are_added_to_those_of_this_machine(store, calls, recognizer, tmp_path):
    one_run(recognizer, tmp_path / "a", [calls / "day0"])
    one_run(recognizer, tmp_path / "b", [calls])
    lines = (tmp_path / "b" / "results.jsonl").read_bytes().splitlines(keepends=True)
    with OutputFolder(tmp_path / "a") as folder:
        before = set(scores((tmp_path / "a" / "results.jsonl").read_bytes()))
        folder.results.adopt([b"no row\n", *lines])
        assert len(folder.results) == 8
        assert len(list(folder.results.rows())) == 8
    assert len(before) == 4


def test_paths_are_folders_and_a_missing_client_is_named(store, tmp_path):
    for output in (str(tmp_path / "a"), f"file://{tmp_path}/b"):
        with open_output(output) as folder:
            assert type(folder) is OutputFolder
    assert {path.name for path in tmp_path.iterdir()} >= {"a", "b"}
    with pytest.raises(MissingExtraError, match=r"\[cloud\]"):
        open_output("gs://bucket/out")


@pytest.mark.slow
def test_the_command_writes_to_s3_of_whose_requests_some_fail(calls, monkeypatch, tmp_path):
    from object_server import s3_server

    with s3_server(monkeypatch, "bucket") as server:
        server.share = 0.05
        done = e2v(calls, "-o", "s3://bucket/out", E2V_CACHE=str(tmp_path))
        assert done.returncode == 1  # letter.wav
        assert "s3://bucket/out: 8 recognized, 1 failed" in done.stdout
        again = e2v(calls, "-o", "s3://bucket/out", E2V_CACHE=str(tmp_path / "other"))
        assert "(8 done before)" in again.stdout
        server.share = 0.0
        import s3fs

        found = s3fs.S3FileSystem().find("bucket/out")
    assert sum(name.endswith(".wav.json") for name in found) == 8
    assert {name.rpartition("/")[2] for name in found} >= {"results.csv", "summary.json"}
