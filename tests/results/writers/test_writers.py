"""Results in the formats of other tools, read back by readers of those formats."""

import csv
import io
import json

import numpy as np
import pytest
import srt
import webvtt
from hypothesis import given
from hypothesis import strategies as st
from praatio import textgrid

from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.results.report import Report
from emotion2vec_edge.engine.results.timeline import Timeline
from emotion2vec_edge.engine.results.types import Timings, Utterance
from emotion2vec_edge.engine.results.writers.formats import FORMATS, SEGMENT_FORMATS
from emotion2vec_edge.engine.results.writers.registry import SEGMENT_WRITERS, WRITERS

LABELS = ("angry", "<unk> & 生气", 'sad "s"')


def report(file="calls/mon day.wav", windows=40, seed=0, **changes):
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet([0.2] * 3, windows).astype(np.float32)
    starts = 0.5 * np.arange(windows)
    utterance = Utterance(
        "angry", 0.5, dict(zip(LABELS, [0.5, 0.3, 0.2], strict=True)), np.zeros(4, np.float32),
        float(starts[-1] + 1.0), (), Timings(0.0, 0.1), "whole", "m", "cpu",
    )  # fmt: skip
    return Report(file, utterance, Timeline(LABELS, starts, starts + 1.0, scores), **changes)


def written(format_, *reports):
    out = io.StringIO()
    writer = WRITERS[format_](out, several=len(reports) > 1)
    for each in reports:
        writer.write(each)
    writer.close()
    return out.getvalue()


def spans(one):
    return [
        (pytest.approx(s.start, abs=1e-3), pytest.approx(s.end, abs=1e-3)) for s in one.segments()
    ]


def test_srt_as_its_reader_sees_it():
    one = report()
    found = list(srt.parse(written("srt", one)))
    assert [(s.start.total_seconds(), s.end.total_seconds()) for s in found] == spans(one)
    assert [s.index for s in found] == list(range(1, len(found) + 1))
    assert [s.content.rsplit(" (", 1)[0] for s in found] == [s.emotion for s in one.segments()]


def test_vtt_as_its_reader_sees_it(tmp_path):
    one = report()
    path = tmp_path / "x.vtt"
    path.write_text(written("vtt", one), encoding="utf-8")
    found = list(webvtt.read(path))
    assert [(c.start_in_seconds, c.end_in_seconds) for c in found] == [
        (int(s.start), int(s.end)) for s in one.segments()
    ]
    expected = [s.emotion.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
                for s in one.segments()]  # fmt: skip
    assert [c.raw_text.rsplit(" (", 1)[0] for c in found] == expected


def test_textgrid_as_its_reader_sees_it(tmp_path):
    one = report()
    path = tmp_path / "x.TextGrid"
    path.write_text(written("textgrid", one), encoding="utf-8")
    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=True, reportingMode="error")
    tier = grid.getTier("emotion")
    assert (grid.minTimestamp, grid.maxTimestamp) == (0, one.utterance.seconds)
    assert [(e.start, e.end) for e in tier.entries] == spans(one)
    assert [e.label for e in tier.entries] == [s.emotion for s in one.segments()]


def test_audacity_labels():
    one = report()
    rows = list(
        csv.reader(io.StringIO(written("audacity", one)), delimiter="\t", quoting=csv.QUOTE_NONE)
    )
    assert [(float(a), float(b)) for a, b, _ in rows] == spans(one)
    assert [label for *_, label in rows] == [s.emotion for s in one.segments()]


def test_rttm_by_the_rules_of_its_readers():
    """As dscore and pyannote read it: ten fields, no blanks within, positive durations."""
    one = report()
    rows = [line.split(" ") for line in written("rttm", one).splitlines()]
    for row, segment in zip(rows, one.segments(), strict=True):
        assert len(row) == 10
        assert row[:3] == ["SPEAKER", "mon_day", "1"]
        assert float(row[3]) == pytest.approx(segment.start, abs=1e-3)
        assert float(row[4]) == pytest.approx(segment.end - segment.start, abs=2e-3)
        assert float(row[4]) > 0
        assert row[7] == segment.emotion.replace(" ", "_")
        assert 0 <= float(row[8]) <= 1


def test_segments_need_a_timeline():
    import dataclasses

    with pytest.raises(OptionError, match="timeline"):
        written("srt", dataclasses.replace(report(), timeline=None))


def test_the_shortest_segment_can_be_chosen():
    few, many = (len(report(min_segment=s).segments()) for s in (5.0, 0.0))
    assert few < many


@pytest.mark.slow
@given(windows=st.integers(1, 600), seed=st.integers(0, 99))
def test_json_in_pieces_is_json(windows, seed):
    one = report(windows=windows, seed=seed)
    expected = {**one.to_dict(), "frames": [window.to_dict() for window in one.timeline]}
    expected = json.loads(json.dumps(expected))
    assert json.loads(written("json", one)) == expected
    assert json.loads(written("jsonl", one)) == expected
    assert written("jsonl", one).count("\n") == 1
    assert json.loads(written("json", one, one)) == [expected, expected]


def test_json_has_one_window_a_line():
    text = written("json", report(windows=10))
    lines = [line for line in text.splitlines() if line.startswith('    {"start"')]
    assert len(lines) == 10
    assert text.endswith("  ]\n}\n")


@pytest.mark.parametrize("format_", ["json", "jsonl", "csv"])
def test_an_interrupted_report_is_taken_back(tmp_path, format_, monkeypatch):
    """Whatever stops a report half-way, what was written before it stays well-formed."""
    whole = report(windows=2_000)
    path = tmp_path / "out"
    with path.open("w", encoding="utf-8") as out:
        writer = WRITERS[format_](out, several=True)
        writer.write(whole)
        before = path.read_text(encoding="utf-8")
        windows = iter(whole.timeline)

        def interrupted(_):
            for number, window in enumerate(windows):
                if number == 1_500:
                    raise KeyboardInterrupt
                yield window

        with monkeypatch.context() as patch:
            patch.setattr(Timeline, "__iter__", interrupted)
            with pytest.raises(KeyboardInterrupt):
                writer.write(whole)
        assert path.read_text(encoding="utf-8") == before
        writer.close()
    if format_ == "json":
        assert len(json.loads(path.read_text(encoding="utf-8"))) == 1


def test_every_format_has_a_writer():
    assert list(WRITERS) == list(FORMATS)
    assert list(SEGMENT_WRITERS) == list(SEGMENT_FORMATS)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_table_for_a_terminal_without_block_characters(encoding):
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace")
    writer = WRITERS["table"](out, several=False)
    writer.write(report(windows=3))
    assert b"50.0%  ###############\n" in out.buffer.getvalue()


@pytest.mark.parametrize("reports_before", [0, 1])
def test_an_interrupt_after_the_last_byte_leaves_json(tmp_path, reports_before, monkeypatch):
    path = tmp_path / "out.json"
    with path.open("w", encoding="utf-8") as out:
        writer = WRITERS["json"](out, several=True)
        for _ in range(reports_before):
            writer.write(report(windows=3))

        class Interrupting:
            """The file, whose flush is interrupted when all is written."""

            def __getattr__(self, name):
                return getattr(out, name)

            def flush(self):
                out.flush()
                raise KeyboardInterrupt

        writer.out = Interrupting()
        with pytest.raises(KeyboardInterrupt):
            writer.write(report(windows=3))
        writer.out = out
        writer.close()
    assert len(json.loads(path.read_text(encoding="utf-8"))) == reports_before
