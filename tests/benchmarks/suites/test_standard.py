"""The standard set and its page."""

import pytest

from emotion2vec_edge.benchmarks.suites.standard import StandardSettings


@pytest.mark.slow
def test_a_report(e2v_bench, tmp_path, speech_manifest):
    e2v_bench("report", "--speech", speech_manifest, "--most", 2, "--rounds", 1,
              "-o", tmp_path)  # fmt: skip
    names = {path.name for path in tmp_path.iterdir()}
    assert {"README.md", "report.html", "accuracy.png", "latency_small.json", "windows.md"} <= names
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert "http" not in page.split("<body>")[1]  # it needs nothing from elsewhere
    assert "## Accuracy" in (tmp_path / "README.md").read_text()


def test_the_command_of_a_page_names_no_path():
    settings = StandardSettings(baselines=("funasr",), beside=(("OpenVINO", "/home/me/python"),))
    assert settings.command() == (
        "e2v bench report -p funasr --beside 'OpenVINO' 'PYTHON OPTIONS' --rounds 7 -o FOLDER"
    )
