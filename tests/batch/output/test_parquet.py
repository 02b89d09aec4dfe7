"""The tables of a batch as Parquet."""

import csv
import io
import itertools
import json
import sys

import numpy as np
import pytest
from batches import before_path, e2v, everything_is_whole, one_run, rows

from emotion2vec_edge.engine.batch.inputs.discover import collect
from emotion2vec_edge.engine.batch.inputs.input_file import FileState
from emotion2vec_edge.engine.batch.output import parquet as parquet_room
from emotion2vec_edge.engine.batch.output.folder import OutputFolder
from emotion2vec_edge.engine.batch.output.parquet import ParquetTables
from emotion2vec_edge.engine.batch.rows import FailureRow, ResultRow
from emotion2vec_edge.engine.batch.run import BatchRun
from emotion2vec_edge.engine.batch.settings import BatchSettings
from emotion2vec_edge.engine.batch.worker import Worker
from emotion2vec_edge.engine.errors import MissingExtraError, OutputError
from emotion2vec_edge.engine.results.embeddings import npy_bytes

pyarrow = pytest.importorskip("pyarrow", reason="SKIPPED LOUDLY: pip install pyarrow")
pq = pytest.importorskip("pyarrow.parquet", reason="SKIPPED LOUDLY: pip install pyarrow")

EMBEDDINGS = BatchSettings(embeddings=True)


def table(content):
    return pq.read_table(io.BytesIO(content)).to_pylist()


def result(file, scores, turns=None):
    answer = {"emotion": max(scores, key=scores.get), "confidence": max(scores.values())}
    report = {
        "file": file, **answer, "scores": scores, "seconds": 2, "model": "small", "provider": "cpu",
        "warnings": [{"code": "noisy"}, {"code": "short"}], "embedding": f"embeddings/{file}.npy",
    }  # fmt: skip
    if turns is not None:
        report["turns"] = [
            {"start": start, "end": start + 1.0, "warnings": [], **answer, "scores": scores}
            for start in range(turns)
        ]
    return ResultRow(report, f"results/{file}.json", FileState(1, 2), "digest", "an id")


@pytest.fixture
def folder(tmp_path):
    with OutputFolder(tmp_path / "out") as opened:
        yield opened


def made(folder, *, turns=False, **options):
    tables = ParquetTables(**options)
    return b"".join(tables.turns(folder) if turns else tables.results(folder))


def test_the_columns_are_those_of_csv(folder):
    folder.results.append(result("b", {"happy": 0.75, "sad": 0.25}))
    folder.results.append(result("a", {"angry": 1.0}))
    schema = pq.read_schema(io.BytesIO(made(folder, embeddings=True)))
    assert [f"{field.name} {field.type}" for field in schema] == [
        "file string", "id string", "seconds double", "emotion string", "confidence double",
        "angry double", "happy double", "sad double", "warnings list<element: string>",
        "model string", "provider string", "result string", "error string", "message string",
        "embedding list<element: float>",
    ]  # fmt: skip
    first, second = table(made(folder))
    assert first["happy"] is None
    assert second == {
        "file": "b", "id": "an id", "seconds": 2.0, "emotion": "happy", "confidence": 0.75,
        "angry": None, "happy": 0.75, "sad": 0.25, "warnings": ["noisy", "short"],
        "model": "small", "provider": "cpu", "result": "results/b.json", "error": None,
        "message": None,
    }  # fmt: skip


def test_failures_are_rows_and_no_recording_has_two(folder):
    for file in "bd":
        folder.results.append(result(file, {"happy": 1.0}))
    for file in "dac":
        folder.failures.append(FailureRow(file, "AudioError", f"{file}: broken", 3))
    lines = table(made(folder))
    assert [(line["file"], line["emotion"], line["error"]) for line in lines] == [
        ("a", None, "AudioError"), ("b", "happy", None), ("c", None, "AudioError"),
        ("d", "happy", "AudioError"),
    ]  # fmt: skip
    assert lines[0]["message"] == "a: broken"


def test_labels_with_the_name_of_another_column(folder):
    folder.results.append(result("x", {"Model": 0.25, "model_score": 0.5, "happy": 0.25}))
    (line,) = table(made(folder))
    assert (line["model"], line["Model_score"], line["model_score_score"]) == ("small", 0.25, 0.5)
    assert len({name.casefold() for name in line}) == len(line)


@pytest.mark.parametrize("count", [0, 1, 7])
def test_any_number_of_rows(folder, monkeypatch, count):
    monkeypatch.setattr(parquet_room, "GROUP_ROWS", 3)
    monkeypatch.setattr(parquet_room, "READ_TOGETHER", 2)
    for number in range(count):
        folder.results.append(result(str(number), {"happy": 1.0}))
        folder.write(f"embeddings/{number}.npy", [npy_bytes(np.full(4, number, np.float32))])
    content = made(folder, embeddings=True)
    assert [line["embedding"] for line in table(content)] == [[n] * 4 for n in range(count)]
    assert pq.read_metadata(io.BytesIO(content)).num_row_groups == -(-count // 3)


def test_turns(folder):
    folder.results.append(result("call", {"happy": 1.0}, turns=2))
    folder.results.append(result("silence", {"happy": 1.0}, turns=0))
    vectors = np.arange(6, dtype=np.float32).reshape(2, 3)
    folder.write("embeddings/call.npy", [npy_bytes(vectors)])
    lines = table(made(folder, turns=True, embeddings=True))
    assert [(line["file"], line["start"], line["end"]) for line in lines] == [
        ("call", 0.0, 1.0), ("call", 1.0, 2.0),
    ]  # fmt: skip
    assert [line["embedding"] for line in lines] == vectors.tolist()
    assert [line["speaker"] for line in lines] == [None, None]
    calls = table(made(folder, embeddings=True))
    assert [(line["emotion"], line["embedding"]) for line in calls] == [(None, None)] * 2


def test_embeddings_that_are_gone_or_are_none(folder):
    folder.results.append(result("a", {"happy": 1.0}))
    assert table(made(folder, embeddings=True))[0]["embedding"] is None
    for content in (b"", b"text", npy_bytes(np.zeros((2, 3), np.float32))):
        folder.write("embeddings/a.npy", [content])
        with pytest.raises(OutputError, match=r"a\.npy: not the embedding of a: .*remove results/"):
            made(folder, embeddings=True)
    (folder.path / "embeddings" / "a.npy").unlink()
    (folder.path / "embeddings" / "a.npy").mkdir()
    with pytest.raises(OutputError, match=r"a\.npy: cannot be read: not a regular file"):
        made(folder, embeddings=True)


def test_the_command_writes_what_csv_has(calls, tmp_path):
    done = e2v(calls, "-o", tmp_path, "--parquet", "--embeddings")
    assert done.returncode == 1, done.stderr
    found = pq.read_table(tmp_path / "results.parquet").to_pylist()
    assert [line["error"] for line in found] == [None] * 8 + ["UndecodableAudioError"]
    with (tmp_path / "results.csv").open(newline="") as file:
        expected = list(csv.DictReader(file))
    for line, near, row in zip(found, expected, rows(tmp_path / "results.jsonl"), strict=False):
        assert line["file"] == near["file"]
        assert f"{line[line['emotion']]:.6f}" == near["confidence"]
        np.testing.assert_array_equal(line["embedding"], np.load(tmp_path / row["embedding"]))
    everything_is_whole(tmp_path)


def test_another_run_goes_on_and_one_without_it_removes_the_table(recognizer, calls, tmp_path):
    assert one_run(recognizer, tmp_path, [calls]).done == 8
    again = one_run(recognizer, tmp_path, [calls], parquet=ParquetTables())
    assert (again.skipped, again.done) == (8, 0)
    assert pq.read_metadata(tmp_path / "results.parquet").num_rows == 9
    one_run(recognizer, tmp_path, [calls])
    assert not (tmp_path / "results.parquet").exists()


def test_an_embedding_that_is_damaged_leaves_the_table_of_csv(recognizer, calls, tmp_path):
    one_run(recognizer, tmp_path, [calls], EMBEDDINGS, parquet=ParquetTables(embeddings=True))
    place = rows(tmp_path / "results.jsonl")[3]["embedding"]
    (tmp_path / place).write_bytes(b"text")
    with pytest.raises(OutputError, match="not the embedding of"):
        one_run(recognizer, tmp_path, [calls], EMBEDDINGS, parquet=ParquetTables(embeddings=True))
    assert (tmp_path / "results.csv").exists()
    assert not (tmp_path / "results.parquet").exists()
    assert json.loads((tmp_path / "summary.json").read_text())["recognized"] == 8


def test_a_run_that_is_interrupted_has_the_table_without_embeddings(recognizer, calls, tmp_path):
    with OutputFolder(tmp_path) as opened:
        items = collect([str(calls)], sys.stdin)
        run = BatchRun(opened, items, "r", parquet=ParquetTables(embeddings=True))
        outcomes = run.outcomes(Worker(recognizer, tmp_path, EMBEDDINGS, "r"))
        list(itertools.islice(outcomes, 3))
        outcomes.close()
    assert json.loads((tmp_path / "summary.json").read_text())["state"] == "interrupted"
    found = pq.read_table(tmp_path / "results.parquet")
    assert found.num_rows == 3
    assert "embedding" not in found.column_names


def test_without_pyarrow_it_is_refused_before_anything_is_done(calls, tmp_path, monkeypatch):
    (tmp_path / "pyarrow.py").write_text("raise ImportError('no pyarrow')")
    done = e2v(calls, "-o", tmp_path / "out", "--parquet", PYTHONPATH=before_path(tmp_path))
    assert done.returncode == 2
    assert "Parquet needs pyarrow: pip install 'emotion2vec-edge[parquet]'" in done.stderr
    assert not (tmp_path / "out").exists()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError):
        ParquetTables()
