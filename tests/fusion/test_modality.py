"""Files of scores: our own results, JSON lines of others, and everything that is none."""

import json

import pytest

from emotion2vec_edge.engine.errors import ModalityError
from emotion2vec_edge.engine.fusion.modality import read_modality


def row(start=0.0, end=1.0, **more):
    return {"start": start, "end": end, "scores": {"sad": 0.25, "happy": 0.75}, **more}


def test_scores_by_label_or_in_a_list(write):
    listed = {**row(1, 2), "labels": ["sad", "happy"], "scores": [0.25, 0.75], "modality": "gaze"}
    spans = read_modality(write("face.jsonl", row(calibrated=True, speaker="ann"), listed))
    assert [span.modality for span in spans] == ["face", "gaze"]
    assert spans[0].scores == spans[1].scores
    assert (spans[0].calibrated, spans[0].speaker) == (True, "ann")


def test_a_result_of_turns_is_speech(write):
    turns = [row(0.5, 2.0, speaker="ann", emotion="happy", confidence=0.75), row(2.0, 3.0)]
    path = write("call.json", json.dumps({"file": "call.wav", "calibrated": True, "turns": turns}))
    spans = read_modality(path)
    assert [(s.modality, s.file, s.start, s.speaker, s.calibrated) for s in spans] == [
        ("speech", "call.wav", 0.5, "ann", True), ("speech", "call.wav", 2.0, None, True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row(), "{"], "line 2: no JSON"),
        ([row(), row(5, 6), row(3, 4)], "line 3: starts at 3 s, before the row above it"),
        ([row(1, 1)], "end should be after the start"),
        ([row(-1, 1)], "start should be a number from 0"),
        ([{**row(), "scores": {"sad": 0.2}}, row()], "sum to 1, found 'a sum of 0.2'"),
        (['{"start": 0, "end": 1, "scores": {"sad": NaN}}', row()], "scores.sad should be"),
        ([{"start": 0, "end": 1}, row()], "scores is missing"),
        ([{**row(), "labels": ["a"], "scores": [0.5, 0.5]}, row()], "one for each of 1"),
        (["[1]"], "should be a mapping"),
        ([""], "holds no scores"),
    ],
)
def test_a_row_that_is_none_is_named(write, rows, message):
    with pytest.raises(ModalityError, match=message):
        read_modality(write("face.jsonl", *rows))


def test_files_that_are_none(tmp_path):
    with pytest.raises(ModalityError, match="gone.jsonl: scores cannot be read: No such file"):
        read_modality(tmp_path / "gone.jsonl")
    (tmp_path / "sound.jsonl").write_bytes(b"\xff\xfe\x00RIFF")
    with pytest.raises(ModalityError, match="it is no UTF-8"):
        read_modality(tmp_path / "sound.jsonl")
    (tmp_path / "deep.jsonl").write_text("[" * 100_000)
    with pytest.raises(ModalityError):
        read_modality(tmp_path / "deep.jsonl")
