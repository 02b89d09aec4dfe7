"""Batches through cluster software, timed; most with processes in the place of Ray."""

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys

import pytest

from emotion2vec_edge.benchmarks.suites import scale
from emotion2vec_edge.benchmarks.suites.scale import ScaleSettings, measure
from emotion2vec_edge.engine.errors import E2VError, MissingExtraError
from emotion2vec_edge.engine.progress import no_progress


def without_ray(monkeypatch):
    def actors(_, settings, workers, folder):
        return scale._processes(settings, workers, folder)

    monkeypatch.setattr(scale, "_local_ray", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(scale, "_actors", actors)
    monkeypatch.setattr(scale, "_without_spark", lambda: "there is no Java")


@pytest.mark.slow
def test_the_table_compares_each_with_one_process(monkeypatch):
    without_ray(monkeypatch)
    document = measure(ScaleSettings(files=6, seconds=1.0, rounds=1), no_progress)
    (table,) = document.tables
    assert table.note.endswith("Spark is left out: there is no Java.")
    assert [row[:2] for row in table.rows] == [
        ["this process", "1"], ["Ray", "1"], ["processes", "2"], ["Ray", "2"],
    ]  # fmt: skip
    alone = table.rows[0][5]
    for row in table.rows:
        assert row[4] == pytest.approx(row[3])  # of recordings of a second
        assert row[5] == pytest.approx(1_000 * int(row[1]) / row[3])
        assert row[6] == pytest.approx(row[5] - alone)


def test_a_recording_without_a_result_ends_it(monkeypatch, tmp_path):
    without_ray(monkeypatch)
    monkeypatch.setattr(
        scale, "_recordings", lambda *_: [scale.InputFile(str(tmp_path / "gone.wav"), "gone.wav")]
    )
    with pytest.raises(E2VError, match="gone.wav"):
        measure(ScaleSettings(workers=(1,), rounds=1), no_progress)


def test_without_ray_it_says_what_to_install(monkeypatch):
    def missing():
        raise MissingExtraError("ray")

    monkeypatch.setattr(scale, "ray_package", missing)
    with pytest.raises(MissingExtraError):
        measure(ScaleSettings(), no_progress)


def test_spark_is_left_out_for_a_reason(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert scale._without_spark() == "pyspark is not installed (extra spark)"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    assert scale._without_spark() == "there is no Java"


@pytest.mark.slow
def test_spark_is_timed_as_the_others(tmp_path):
    """In a process of its own, which the Java machine ends with."""
    pytest.importorskip("pyspark", reason="SKIPPED LOUDLY: pip install pyspark")
    if shutil.which("java") is None:
        pytest.skip("SKIPPED LOUDLY: Spark needs java")
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from emotion2vec_edge.benchmarks.suites import scale\n"
        "settings = scale.ScaleSettings(files=4, seconds=1.0)\n"
        "items = scale._recordings(Path(sys.argv[1]), settings)\n"
        "Path(items[3].path).write_text('not a recording')\n"
        "with scale._spark(settings, 1, Path()) as batch:\n"
        "    try:\n"
        "        for path in batch(items): print(path)\n"
        "    except scale.E2VError as error:\n"
        "        print(error)\n"
    )
    quickly = {  # Java starts sooner, and Spark does not ask the network for its own name
        "JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "SPARK_LOCAL_HOSTNAME": "localhost",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, tmp_path], capture_output=True, text=True,
        check=False, env={**os.environ, **quickly},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *paths, error = done.stdout.splitlines()
    assert paths == [str(tmp_path / f"0000{number}.wav") for number in range(3)]
    assert "00003.wav: neither libsndfile" in error
