"""Batches whose inputs are datasets."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from batches import E2V, answers, e2v, everything_is_whole, rows
from recordings import encoded
from shards import CLIPS, make_shard, make_table, make_tar

from emotion2vec_edge.engine.batch.inputs.discover import collect
from emotion2vec_edge.engine.batch.inputs.input_file import InputFile
from emotion2vec_edge.engine.batch.inputs.members import recordings, with_datasets
from emotion2vec_edge.engine.batch.output.folder import OutputFolder
from emotion2vec_edge.engine.batch.run import BatchRun
from emotion2vec_edge.engine.batch.settings import BatchSettings
from emotion2vec_edge.engine.batch.worker import Worker

pytest.importorskip("pyarrow", reason="SKIPPED LOUDLY: pip install pyarrow")


def one_run(recognizer, out, *inputs):
    items = with_datasets(collect(list(map(str, inputs)), sys.stdin, datasets=True))
    with OutputFolder(out) as folder:
        run = BatchRun(folder, items, "r")
        list(run.outcomes(Worker(recognizer, out, BatchSettings(), "r")))
    return run.progress


@pytest.fixture
def files(tmp_path):
    """The recordings as files of their own."""
    folder = tmp_path / "files"
    folder.mkdir()
    for number, clip in enumerate(CLIPS):
        (folder / f"{number:06}.wav").write_bytes(clip)
    return folder


def scores(out):
    return [
        row["scores"] for row in sorted(rows(out / "results.jsonl"), key=lambda row: row["file"])
    ]


@pytest.mark.parametrize("make", [make_shard, make_table])
def test_results_are_those_of_the_files_and_a_later_run_skips_them(
    recognizer, files, tmp_path, make
):
    shard = make(tmp_path / ("a.tar" if make is make_shard else "a.parquet"))
    progress = one_run(recognizer, tmp_path / "out", shard)
    assert (progress.done, progress.failed, progress.total, progress.complete) == (6, 0, 6, True)
    one_run(recognizer, tmp_path / "near", files)
    assert scores(tmp_path / "out") == scores(tmp_path / "near")
    again = one_run(recognizer, tmp_path / "out", shard)
    assert (again.skipped, again.done, again.total) == (6, 0, 0)
    everything_is_whole(tmp_path / "out")
    changed = [CLIPS[0], CLIPS[2], *CLIPS[2:]]
    time.sleep(0.01)
    make(shard, changed)
    redone = one_run(recognizer, tmp_path / "out", shard)
    assert redone.done == (
        6 if make is make_shard else 1
    )  # by the archive's time; by each checksum


def test_a_folder_of_shards_is_taken_where_there_are_no_recordings(recognizer, files, tmp_path):
    folder = tmp_path / "shards"
    folder.mkdir()
    make_shard(folder / "0.tar", CLIPS[:3])
    make_table(folder / "1.parquet", CLIPS[3:])
    progress = one_run(recognizer, tmp_path / "out", folder)
    assert progress.done == 6
    make_shard(files / "0.tar")
    assert len(collect([str(files)], sys.stdin, datasets=True)) == 6


def test_damage_is_a_line_for_each_and_what_is_mended_is_told_no_more(recognizer, tmp_path):
    shard = make_tar(
        tmp_path / "a.tar", [("a.wav", CLIPS[0]), ("t.wav", b"text"), ("b.wav", CLIPS[1])]
    )
    whole = shard.read_bytes()
    (tmp_path / "no.tar").write_text("text" * 1000)
    shard.write_bytes(whole[:10_000])
    progress = one_run(recognizer, tmp_path / "out", shard, tmp_path / "no.tar")
    assert (progress.done, progress.failed, progress.total) == (1, 3, 4)
    failures = answers(tmp_path / "out")[1]
    assert sorted(failures) == [str(shard), f"{shard}#t.wav", str(tmp_path / "no.tar")]
    assert "is cut off in b.wav" in failures[str(shard)]
    shard.write_bytes(whole)
    make_tar(tmp_path / "no.tar", [("c.wav", CLIPS[2])])
    progress = one_run(recognizer, tmp_path / "out", shard, tmp_path / "no.tar")
    assert (progress.done, progress.failed) == (3, 1)
    assert list(answers(tmp_path / "out")[1]) == [f"{shard}#t.wav"]


def test_a_file_that_two_tables_name_is_recognized_once(recognizer, files, tmp_path):
    import pyarrow
    import pyarrow.parquet

    for name in ("a", "b"):
        table = pyarrow.table({"path": ["000000.wav", "gone.wav"]})
        pyarrow.parquet.write_table(table, files / f"{name}.parquet")
    inputs = [files / "a.parquet", files / "b.parquet", files / "000000.wav"]
    progress = one_run(recognizer, tmp_path / "out", *inputs)
    assert (progress.done, progress.failed) == (1, 1)
    assert one_run(recognizer, tmp_path / "out", *inputs).skipped == 1


def test_no_two_members_share_a_place_and_none_leaves_the_folder(tmp_path):
    names = ["../a.wav", "a.wav", "A.wav", "/a.wav", "x\x01.wav", "x_.wav"]
    shard = make_tar(tmp_path / "a.tar", [(name, CLIPS[0]) for name in names])
    (item,) = with_datasets(collect([str(shard)], sys.stdin))
    places = [found.place for found in recordings(item)]
    assert len({place.casefold() for place in places}) == len(names)
    assert not [place for place in places if ".." in place.split("/")]


def test_a_recording_passes_a_pipe_of_json(tmp_path):
    import json

    for item in with_datasets(collect([str(make_table(tmp_path / "a.parquet"))], sys.stdin)):
        for found in recordings(item):
            assert InputFile.from_dict(json.loads(json.dumps(found.to_dict()))) == found


@pytest.mark.slow
def test_worker_processes_and_a_run_that_is_killed(tmp_path):
    rng = np.random.default_rng(3)
    clips = [
        encoded(rng.normal(0, 0.1, 80_000).astype(np.float32), 16_000, "WAV") for _ in range(40)
    ]
    shard = make_shard(tmp_path / "a.tar", clips)
    table = make_table(tmp_path / "a.parquet", clips)
    out = tmp_path / "out"
    command = [*E2V, str(shard), str(table), "-o", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    log, deadline = out / "results.jsonl", time.monotonic() + 30
    while not (log.exists() and log.read_bytes().count(b"\n") >= 5):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    everything_is_whole(out, torn_logs=True)
    before = log.read_bytes().count(b"\n")
    assert before < 80
    done = e2v(shard, table, "-o", out, "--jobs", 2)
    assert done.returncode == 0, done.stderr
    assert f"80 recognized, 0 failed ({before} done before)" in done.stdout
    everything_is_whole(out)
    found = rows(log)
    assert len({row["file"] for row in found}) == len(found) == 80
    near = {
        row["file"].rpartition("#")[2].removesuffix(".wav").lstrip("0") or "0": [] for row in found
    }
    for row in found:
        near[row["file"].rpartition("#")[2].removesuffix(".wav").lstrip("0") or "0"].append(
            row["scores"]
        )
    assert all(one == other for one, other in near.values())


def test_a_command_without_inputs_is_told_what_to_give():
    done = e2v()
    assert done.returncode == 2
    assert "give INPUTS or --dataset" in done.stderr
