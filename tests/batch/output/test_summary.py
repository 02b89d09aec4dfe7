"""The summary of a batch and its table."""

import csv
import io

import pytest

from emotion2vec_edge.engine.batch.inputs.input_file import FileState, InputFile
from emotion2vec_edge.engine.batch.outcome import Outcome
from emotion2vec_edge.engine.batch.output.summary import (
    RunProgress,
    Tally,
    csv_lines,
    turn_csv_lines,
)
from emotion2vec_edge.engine.batch.rows import FailureRow, ResultRow
from emotion2vec_edge.engine.version import __version__


def result(file, scores, seconds=2.0, model="small"):
    emotion = max(scores, key=scores.get)
    report = {
        "file": file, "emotion": emotion, "confidence": scores[emotion], "scores": scores,
        "seconds": seconds, "warnings": [{"code": "noisy"}, {"code": "short"}], "model": model,
        "provider": "cpu",
    }  # fmt: skip
    return ResultRow(report, f"results/{file}.json", FileState(1, 2), "digest")


ROWS = [
    result("a", {"happy": 0.75, "sad": 0.25}),
    result("b", {"happy": 0.5, "sad": 0.5}, seconds=3.0),
    result('c "d"', {"sad": 0.9, "angry": 0.1}, model="large"),
]


def test_the_summary_counts_everything():
    progress = RunProgress(total=6, skipped=1)
    for row in ROWS[:2]:
        progress.add(Outcome(InputFile(row.file, row.file), row))
    progress.add(Outcome(InputFile("e", "e"), FailureRow("e", "AudioError", "e: broken", 3)))
    tally = Tally(confident_from=0.75)
    assert list(tally.counted(ROWS)) == ROWS
    document = tally.summary("interrupted", 2, progress).to_dict()
    run = document.pop("this_run")
    assert document == {
        "state": "interrupted", "files": 5, "recognized": 3, "failures": 2, "audio_seconds": 7.0,
        "labels": {"happy": 2, "sad": 1}, "mean_confidence": pytest.approx(2.15 / 3),
        "confident": {"from": 0.75, "files": 2}, "models": ["small on cpu", "large on cpu"],
        "version": __version__,
    }  # fmt: skip
    assert (run["recognized"], run["failures"], run["skipped"], run["remaining"]) == (2, 1, 1, 3)
    assert run["audio_seconds"] == 5.0
    assert run["real_time_factor"] == run["seconds"] / 5.0
    assert dict(progress.exit_codes) == {3: 1}


def test_the_summary_of_nothing():
    document = Tally(0.7).summary("finished", 0, RunProgress(0)).to_dict()
    assert (document["files"], document["mean_confidence"]) == (0, None)
    assert document["this_run"]["real_time_factor"] is None


def test_the_table_has_a_column_for_each_label():
    text = b"".join(csv_lines(ROWS, ["happy", "sad", "angry"])).decode()
    table = list(csv.DictReader(io.StringIO(text)))
    assert [line["file"] for line in table] == ["a", "b", 'c "d"']
    assert table[0]["happy"] == "0.750000"
    assert (table[2]["happy"], table[2]["angry"]) == ("", "0.100000")
    assert table[1]["seconds"] == "3.000"
    assert table[1]["warnings"] == "noisy short"


def of_turns(file, *emotions):
    turns = [
        {
            "start": number, "end": number + 0.5, "speaker": "channel 0", "emotion": emotion,
            "confidence": 0.8, "scores": {emotion: 0.8}, "warnings": [],
        }
        for number, emotion in enumerate(emotions)
    ]  # fmt: skip
    report = {
        "file": file, "turns": turns, "seconds": 9.0, "warnings": [], "model": "small",
        "provider": "cpu",
    }  # fmt: skip
    return ResultRow(report, f"results/{file}.json", FileState(1, 2), "digest")


def test_turns_are_counted_one_by_one():
    rows = [*ROWS[:1], of_turns("x", "sad", "sad", "happy"), of_turns("y")]
    tally = Tally(0.78)
    assert list(tally.counted(rows)) == rows
    document = tally.summary("finished", 0, RunProgress(3)).to_dict()
    assert (document["recognized"], document["turns"]) == (3, 3)
    assert document["labels"] == {"happy": 2, "sad": 2}
    assert document["confident"] == {"from": 0.78, "turns": 3}
    assert document["mean_confidence"] == pytest.approx((0.75 + 3 * 0.8) / 4)


def test_the_tables_of_turns():
    rows = [ROWS[0], of_turns("x", "sad", "happy"), of_turns("y")]
    text = b"".join(csv_lines(rows, ["happy", "sad"])).decode()
    table = list(csv.DictReader(io.StringIO(text)))
    assert [(line["file"], line["emotion"]) for line in table] == [
        ("a", "happy"), ("x", ""), ("y", ""),
    ]  # fmt: skip
    text = b"".join(turn_csv_lines(rows, ["happy", "sad"])).decode()
    table = list(csv.DictReader(io.StringIO(text)))
    assert [(line["file"], line["start"], line["emotion"]) for line in table] == [
        ("x", "0.000", "sad"), ("x", "1.000", "happy"),
    ]  # fmt: skip
    assert (table[0]["sad"], table[0]["happy"], table[0]["speaker"]) == (
        "0.800000",
        "",
        "channel 0",
    )
