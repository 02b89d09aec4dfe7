"""Turns in every format, read back by readers of those formats."""

import csv
import io
import itertools
import json

import pytest
import srt
import webvtt
from praatio import textgrid

from emotion2vec_edge.engine.audio.meter import AudioWarning
from emotion2vec_edge.engine.results.report import TurnReport
from emotion2vec_edge.engine.results.types import Conversation, Turn
from emotion2vec_edge.engine.results.writers.registry import WRITERS

LABELS = ("angry", "neutral", "sad")


def turn(start, end, speaker, emotion="angry", said=None, codes=()):
    scores = dict.fromkeys(LABELS, 0.1) | {emotion: 0.8}
    warnings = tuple(AudioWarning(code, code) for code in codes)
    return Turn(start, end, speaker, said, emotion, 0.8, scores, warnings)


TURNS = (
    turn(0.5, 2.0, "Ann <a> & co", said="Oh no!\n\n1 --> 2 <b>"),
    turn(1.75, 4.0, 'Bob "B"', "sad", codes=["overlap"]),
    turn(4.0, 5.25, "Ann <a> & co", "neutral"),
    turn(5.0, 6.0, "Ann <a> & co", "sad", codes=["overlap"]),
    turn(7.0, 7.5, None, codes=["short", "noisy"]),
)


def written(format_, turns=TURNS, count=1, warnings=()):
    conversation = Conversation(turns, 8.0, LABELS, warnings, "m", "cpu")
    out = io.StringIO()
    writer = WRITERS[format_](out, several=count > 1)
    for _ in range(count):
        writer.write(TurnReport("calls/mon day.wav", conversation))
    writer.close()
    return out.getvalue()


@pytest.mark.parametrize("format_", ["json", "jsonl"])
def test_json_has_turns_and_speakers(format_):
    report = json.loads(written(format_, warnings=(AudioWarning("cut", "the first 8 s"),)))
    assert report["granularity"] == "turns"
    assert (report["seconds"], report["model"], report["provider"]) == (8.0, "m", "cpu")
    assert [warning["code"] for warning in report["warnings"]] == ["cut"]
    assert report["turns"] == json.loads(json.dumps([turn.to_dict() for turn in TURNS]))
    assert list(report["turns"][0]) == [
        "start", "end", "speaker", "text", "emotion", "confidence", "scores", "warnings",
    ]  # fmt: skip
    assert [(s["speaker"], s["turns"]) for s in report["speakers"]] == [
        ("Ann <a> & co", 3), ('Bob "B"', 1), ("unknown speaker", 1),
    ]  # fmt: skip
    assert not {"emotion", "scores", "frames"} & set(report)
    if format_ == "json":
        assert written(format_).count('\n    {"start"') == len(TURNS)
        assert len(json.loads(written(format_, count=2))) == 2


def test_csv_has_a_row_a_turn():
    text = written("csv", count=2)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == [
        "file", "start", "end", "speaker", "emotion", "confidence", *LABELS, "warnings", "text",
    ]  # fmt: skip
    assert len(rows) == 2 * len(TURNS)
    for row, expected in zip(rows, TURNS, strict=False):
        assert (float(row["start"]), float(row["end"])) == (expected.start, expected.end)
        assert row["speaker"] == (expected.speaker or "")
        assert row["text"] == (expected.text or "")
        assert float(row[row["emotion"]]) == pytest.approx(expected.confidence)
    assert rows[4]["warnings"] == "short noisy"
    assert written("csv", turns=()).count("\n") == 1


def test_a_table_has_turns_and_a_summary_of_each_speaker():
    lines = written("table").splitlines()
    assert lines[0] == "calls/mon day.wav  (8.00 s, 5 turns)"
    assert lines[2].split() == ["0.50", "2.00", "Ann", "<a>", "&", "co", "angry", "80.0%"]
    assert lines[3].strip() == "Oh no! 1 --> 2 <b>"
    assert lines[4].endswith("sad         80.0%  ! overlap")
    assert "  Ann <a> & co: 3.75 s of speech: angry 40%, neutral 33%, sad 27%" in lines
    assert "    strongest: angry 80% at 0.50 s, sad 80% at 5.00 s" in lines
    assert "  unknown speaker: 0.50 s of speech: angry 100%" in lines
    assert written("table", turns=()) == "calls/mon day.wav  (8.00 s, 0 turns)\n"


def test_srt_as_its_reader_sees_it():
    found = list(srt.parse(written("srt")))
    assert [(s.start.total_seconds(), s.end.total_seconds()) for s in found] == [
        (turn.start, turn.end) for turn in TURNS
    ]
    assert found[0].content == "Ann <a> & co: angry (80%)\nOh no! 1 --> 2 <b>"
    assert found[4].content == "angry (80%)"
    assert written("srt", turns=()) == ""


def test_vtt_as_its_reader_sees_it(tmp_path):
    path = tmp_path / "x.vtt"
    path.write_text(written("vtt"), encoding="utf-8")
    found = list(webvtt.read(path))
    assert len(found) == len(TURNS)
    assert found[0].raw_text == ("Ann &lt;a&gt; &amp; co: angry (80%)\nOh no! 1 --&gt; 2 &lt;b&gt;")
    assert [caption.start for caption in found][:2] == ["00:00:00.500", "00:00:01.750"]


def test_textgrid_as_its_reader_sees_it(tmp_path):
    path = tmp_path / "x.TextGrid"
    path.write_text(written("textgrid"), encoding="utf-8")
    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=True, reportingMode="error")
    assert (grid.minTimestamp, grid.maxTimestamp) == (0, 8.0)
    labelled = {
        name: [(e.start, e.end, e.label) for e in grid.getTier(name).entries if e.label]
        for name in grid.tierNames
    }
    ann, bob, second, unknown = labelled.values()
    assert list(labelled) == [
        "Ann <a> & co", 'Bob "B"', "Ann <a> & co (2)", "unknown speaker",
    ]  # fmt: skip
    assert ann == [(0.5, 2.0, "angry"), (4.0, 5.25, "neutral")]
    assert bob == [(1.75, 4.0, "sad")]
    assert second == [(5.0, 6.0, "sad")]
    assert unknown == [(7.0, 7.5, "angry")]
    for name in grid.tierNames:  # Praat wants no gaps
        entries = grid.getTier(name).entries
        assert (entries[0].start, entries[-1].end) == (0, 8.0)
        assert all(a.end == b.start for a, b in itertools.pairwise(entries))
    path.write_text(written("textgrid", turns=()), encoding="utf-8")
    textgrid.openTextgrid(str(path), includeEmptyIntervals=True, reportingMode="error")


def test_audacity_labels():
    rows = [line.split("\t") for line in written("audacity").splitlines()]
    assert [(float(a), float(b)) for a, b, _ in rows] == [(t.start, t.end) for t in TURNS]
    assert [label for *_, label in rows][3:] == ["Ann <a> & co: sad", "angry"]


def test_rttm_has_the_speaker_and_the_emotion():
    rows = [line.split(" ") for line in written("rttm").splitlines()]
    assert all(len(row) == 10 for row in rows)
    assert rows[0] == [
        "SPEAKER", "mon_day", "1", "0.500", "1.500", "angry", "<NA>", "Ann_<a>_&_co", "0.8000",
        "<NA>",
    ]  # fmt: skip
    assert rows[4][7] == "unknown_speaker"


@pytest.mark.parametrize("format_", ["table", "srt", "vtt", "textgrid", "audacity"])
def test_a_speaker_cannot_steer_a_terminal(format_):
    text = written(format_, turns=(turn(0.0, 1.0, "\x1b[2J\x9bA\x00nn", said="a\x1b]0;x\x07"),))
    assert "[2JAnn" in text
    assert not set("\x00\x07\x1b\x9b") & set(text)
