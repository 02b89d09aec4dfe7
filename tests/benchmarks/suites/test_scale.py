"""Batches through cluster software, timed; here with processes in the place of Ray."""

import contextlib

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


@pytest.mark.slow
def test_the_table_compares_each_with_one_process(monkeypatch):
    without_ray(monkeypatch)
    document = measure(ScaleSettings(files=6, seconds=1.0, rounds=1), no_progress)
    (table,) = document.tables
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
