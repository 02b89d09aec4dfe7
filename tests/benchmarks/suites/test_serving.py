"""The service against the loop in Python."""

import json

import pytest

pytest.importorskip("uvicorn", reason="SKIPPED LOUDLY: the service needs uvicorn")


@pytest.mark.slow
def test_the_service_is_measured_beside_the_loop(e2v_bench, tmp_path):
    text = e2v_bench(
        "serve", "--clients", 1, "--clients", 3, "--duration", 0.3, "--sessions", 2, "--live", 3,
        "--seconds", 1, "-o", tmp_path,
    )  # fmt: skip
    assert "loop in Python" in text
    document = json.loads((tmp_path / "serve.json").read_text())
    requests, live, process = (table["rows"] for table in document["tables"])
    assert [row[:2] for row in requests] == [["loop in Python", "1"], ["service", "1"],
                                             ["service", "3"]]  # fmt: skip
    assert all(row[-2] > 0 and row[-1] == 0 for row in requests)  # answers, lost or different
    assert [row[0] for row in live] == ["stream in Python", "service"]
    assert live[1][5] == 4  # two sessions of two whole windows
    assert all(row[2] > 0 for row in live)
    assert 20 < process[0][1] < process[1][1]


def test_a_service_that_does_not_begin_is_told(tmp_path):
    from emotion2vec_edge.benchmarks.suites.serving import ServingSettings, serving
    from emotion2vec_edge.engine.errors import ServiceError

    settings = ServingSettings(model=str(tmp_path / "none"))
    with pytest.raises(ServiceError, match="none"), serving(settings):
        pass
