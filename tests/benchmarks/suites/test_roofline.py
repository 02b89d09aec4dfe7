"""The roofline of the embedded model."""

import pytest

from emotion2vec_edge.benchmarks.reporting.document import read_document


@pytest.mark.slow
def test_the_roofline(e2v_bench, tmp_path):
    text = e2v_bench("roofline", "--seconds", 2, "-o", tmp_path)
    assert "multiply-adds a second of audio" in text
    (summary, operators) = read_document(tmp_path / "roofline.json").tables
    facts = {row[0]: row[1] for row in summary.rows}
    assert 0 < facts["of the whole pass"] < 100
    assert facts["this machine's best at these shapes, int8"] > 1
    assert {"DynamicQuantizeMatMul", "MultiHeadAttention"} <= {row[0] for row in operators.rows}
