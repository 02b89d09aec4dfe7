"""The roofline of the embedded model."""

import sys

import pytest

from emotion2vec_edge.benchmarks.reporting.document import read_document
from emotion2vec_edge.engine.errors import MissingExtraError


@pytest.mark.slow
def test_the_roofline(e2v_bench, tmp_path):
    text = e2v_bench("roofline", "--seconds", 2, "-o", tmp_path)
    assert "multiply-adds a second of audio" in text
    (summary, operators) = read_document(tmp_path / "roofline.json").tables
    facts = {row[0]: row[1] for row in summary.rows}
    assert 0 < facts["of the whole pass"] < 100
    assert facts["this machine's best at these shapes, int8"] > 1
    assert {"DynamicQuantizeMatMul", "MultiHeadAttention"} <= {row[0] for row in operators.rows}


@pytest.mark.slow
def test_the_products_in_openvino(e2v_bench, tmp_path):
    pytest.importorskip("openvino")
    e2v_bench("roofline", "--seconds", 1, "--openvino", "-o", tmp_path)
    (summary, _) = read_document(tmp_path / "roofline.json").tables
    rates = {row[0]: row[1] for row in summary.rows if "OpenVINO" in row[0]}
    assert [name.rsplit(", ")[-1] for name in rates] == ["int8", "fp32", "bf16"]
    assert min(rates.values()) > 1


def test_openvino_that_is_missing(e2v_bench, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match="pip install openvino"):
        e2v_bench("roofline", "--seconds", 0.5, "--openvino")
