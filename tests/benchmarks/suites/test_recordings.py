"""Long recordings, folders, live audio and kills."""

import pytest

from emotion2vec_edge.benchmarks.reporting.document import read_document
from emotion2vec_edge.engine.runtime.hardware import usable_threads


@pytest.mark.slow
def test_long_recordings_batches_and_streams(e2v_bench, tmp_path):
    options = {
        "--files": 6,
        "--rounds": 1,
        "--live-seconds": 3,
        "--whole-seconds": 61,
        "--kill-rounds": 1,
        "--busy": 1,
    }
    flat = [part for item in options.items() for part in item]
    parts = [part for name in ("chunks", "batch", "stream", "kill") for part in ("--part", name)]
    e2v_bench("recordings", *flat, *parts, "-o", tmp_path)
    (table,) = read_document(tmp_path / "recordings.json").tables
    facts = {(row[0], row[3]): row[2] for row in table.rows}
    assert facts["folder", "files/s"] > 1
    assert facts["kill -9", "results lost"] == 0
    assert facts["kill -9", "files half-written"] == 0
    assert facts["kill -9", "results unlike an undisturbed run's"] == 0
    live = {row[1].split(", ", 1)[1] for row in table.rows if row[3] == "ms latency p50"}
    assert live == {"in real time", f"in real time, 1 of {usable_threads()} processors busy"}
    alone = [row for row in table.rows if "encoded alone" in row[1]]
    assert alone[0][2] == 100.0
    assert alone[2][2] < 0.01
