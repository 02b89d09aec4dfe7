"""Rows of the logs: what is written is read again, and nothing else is."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion2vec_edge.engine.batch.inputs.input_file import FileState
from emotion2vec_edge.engine.batch.rows import FailureRow, ResultRow, RowError, parse_line, row_line

REPORT = {
    "file": "calls/a.wav", "granularity": "utterance", "emotion": "happy", "confidence": 0.75,
    "scores": {"happy": 0.75, "sad": 0.25}, "top": [], "seconds": 2.5,
    "warnings": [{"code": "noisy", "message": "…"}], "model": "small", "provider": "cpu",
}  # fmt: skip
RESULT = ResultRow(REPORT, "results/calls/a.wav.json", FileState(1_000, 5), "digest", id="utt1")
TURN = {
    "start": 0.5, "end": 2.0, "speaker": "channel 0", "text": None, "emotion": "sad",
    "confidence": 0.6, "scores": {"happy": 0.4, "sad": 0.6},
    "warnings": [{"code": "short", "message": "…"}],
}  # fmt: skip
HEAD = {
    name: value
    for name, value in REPORT.items()
    if name not in ("emotion", "confidence", "scores", "top")
}
OF_TURNS = ResultRow({**HEAD, "granularity": "turns", "turns": [TURN, TURN]}, "x.json", None, "r")
FAILURE = FailureRow("calls/b.wav", "AudioError", "cannot be read", 3)


@pytest.mark.parametrize("row", [RESULT, ResultRow(REPORT, "x.json", None, "r"), OF_TURNS, FAILURE])
def test_what_is_written_is_read_again(row):
    line = row_line(row)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert type(row).from_dict(parse_line(line)) == row


def test_the_parts_of_a_result():
    (answer,) = RESULT.answers
    assert (RESULT.file, answer.emotion, answer.confidence) == ("calls/a.wav", "happy", 0.75)
    assert RESULT.turns is None
    assert (RESULT.seconds, RESULT.model, RESULT.provider) == (2.5, "small", "cpu")
    assert (RESULT.labels, RESULT.warnings) == (("happy", "sad"), ("noisy",))
    assert RESULT.to_dict() == {
        **REPORT, "id": "utt1", "result": "results/calls/a.wav.json",
        "source": {"bytes": 1_000, "mtime_ns": 5}, "run": "digest",
    }  # fmt: skip


def test_the_turns_of_a_result():
    assert OF_TURNS.answers == OF_TURNS.turns
    assert [(turn.emotion, turn.confidence) for turn in OF_TURNS.turns] == [("sad", 0.6)] * 2
    assert OF_TURNS.turns[0].warnings == ("short",)
    assert OF_TURNS.labels == ("happy", "sad")
    silent = ResultRow({**HEAD, "turns": []}, "x.json", None, "r")
    assert (silent.answers, silent.turns, silent.labels) == ((), (), ())
    assert ResultRow.from_dict(silent.to_dict()) == silent


WRONG_IN_TURNS = {
    "start": -1, "end": "2", "speaker": 5, "text": [], "emotion": None, "confidence": 2,
    "scores": [], "warnings": [{"code": 1}],
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_IN_TURNS)
def test_each_field_of_a_turn_is_validated(name):
    document = OF_TURNS.to_dict()
    for turns in ([TURN, {**TURN, name: WRONG_IN_TURNS[name]}], [TURN, "x"], {}):
        with pytest.raises(RowError):
            ResultRow.from_dict({**document, "turns": turns})


def test_numbers_that_json_does_not_know_are_never_written():
    with pytest.raises(ValueError, match="JSON compliant"):
        row_line(ResultRow({**REPORT, "seconds": float("nan")}, "x.json", None, "r"))


WRONG = {
    "file": 5, "emotion": None, "confidence": 1.5, "scores": ["happy"], "seconds": -1,
    "warnings": [{}], "model": "\ud800", "provider": b"cpu".hex, "result": 1,
    "source": {"bytes": "1000", "mtime_ns": 5}, "run": True, "id": 7,
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_each_field_is_validated(name):
    with pytest.raises(RowError):
        ResultRow.from_dict({**RESULT.to_dict(), name: WRONG[name]})
    if name not in ("id", "source"):
        document = RESULT.to_dict()
        del document[name]
        with pytest.raises(RowError):
            ResultRow.from_dict(document)


@pytest.mark.parametrize("name", ["file", "error", "message", "exit_code"])
def test_each_field_of_a_failure_is_validated(name):
    for document in (
        {**FAILURE.to_dict(), name: []},
        {**FAILURE.to_dict(), name: True},
        {key: value for key, value in FAILURE.to_dict().items() if key != name},
    ):
        with pytest.raises(RowError):
            FailureRow.from_dict(document)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.sampled_from([*sorted(RESULT.to_dict()), "turns"]), JSON)
def test_a_row_with_another_value_is_a_row_or_none(name, value):
    """Whatever is accepted can be used: written again, and put in a table."""
    whole = OF_TURNS if name == "turns" else RESULT
    document = json.loads(json.dumps({**whole.to_dict(), name: value}))
    try:
        row = ResultRow.from_dict(document)
    except RowError:
        return
    if name in ("top", "granularity"):  # passed through as it is
        return
    assert ResultRow.from_dict(parse_line(row_line(row))) == row
    assert row.seconds >= 0
    assert all(isinstance(text, str) for text in (row.file, *row.labels, *row.warnings))
    for answer in row.answers:
        assert 0 <= answer.confidence <= 1
        assert all(isinstance(text, str) for text in (answer.emotion, *answer.warnings))


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_none(line):
    with contextlib.suppress(RowError):
        assert isinstance(parse_line(line), dict)


def test_the_state_of_a_file(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"12345")
    state = FileState.of(str(path))
    assert (state.bytes, state.mtime_ns) == (5, path.stat().st_mtime_ns)
    for name in ("gone.wav", "a\0b", "x" * 5_000):
        assert FileState.of(str(tmp_path / name)) is None
