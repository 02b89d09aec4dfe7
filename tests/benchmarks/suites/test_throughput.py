"""Throughput of batches."""

import pytest

from emotion2vec_edge.benchmarks.reporting.document import read_document


@pytest.mark.slow
def test_throughput_with_a_baseline(e2v_bench, small_checkpoint, small_bundle, tmp_path):
    text = e2v_bench("throughput", "-s", 1, "-b", 1, "-b", 3, "--rounds", 2, "-p", "torch-sdpa",
                     "--model", small_bundle, "--checkpoint", small_checkpoint,
                     "-o", tmp_path)  # fmt: skip
    assert "clips/s" in text
    assert (tmp_path / "throughput.png").read_bytes().startswith(b"\x89PNG")
    (table,) = read_document(tmp_path / "throughput.json").tables
    assert [row[1:3] for row in table.rows] == [
        [size, name] for size in ("1", "3") for name in ("fp32", "int8", "torch-sdpa")
    ]
    for _, size, name, milliseconds, clips, times, far in table.rows:
        assert clips == pytest.approx(int(size) / milliseconds * 1000)
        assert times == pytest.approx(clips)
        assert far < (1e-4 if name != "int8" else 0.3)
