"""Files of turns as other tools write them, and damaged ones."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turn_files import FILES, TEXTGRID

from emotion2vec_edge.engine.errors import TurnFileError
from emotion2vec_edge.engine.turns.given import GivenTurn
from emotion2vec_edge.engine.turns.reader import READERS, as_turns, read_turns


@pytest.fixture
def write(tmp_path):
    def written(name, text):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return written


def plain(turns):
    return [(turn.start, turn.end, turn.speaker, turn.text) for turn in turns]


@pytest.mark.parametrize(
    ("name", "turns"),
    [
        ("a.rttm", [(0.5, 2.5, "ann", None), (3.5, 4.75, "bob", None)]),
        (
            "a.ctm",
            [
                (0.5, 1.5, "1", "good morning"),
                (1.8, 2.1, "2", "hi"),
                (5.0, 5.5, "1", "bye"),
            ],
        ),
        ("a.srt", [(0.5, 2.5, "SPEAKER_00", "good morning"), (3.5, 4.75, None, "hi & welcome")]),
        ("a.vtt", [(0.5, 2.5, "Ann Lee", "good morning"), (3.5, 4.75, "Bob", "hi")]),
        ("a.txt", [(0.5, 2.5, "ann", None), (3.5, 4.75, None, None)]),
        ("a.TextGrid", [(0.5, 2.5, "ann", 'she said "no" 3 times')]),
        ("b.TextGrid", [(0.5, 2.5, "ann", "yes")]),
        ("a.json", [(0.5, 2.5, "SPEAKER_00", "good morning")]),
        ("b.json", [(0.5, 2.5, "0", "早上好")]),
    ],
)
def test_each_format(write, name, turns):
    found = plain(read_turns(write(name, FILES[name])))
    assert [turn[2:] for turn in found] == [turn[2:] for turn in turns]
    assert [turn[:2] for turn in found] == [pytest.approx(turn[:2]) for turn in turns]


def test_praat_writes_utf_16(write):
    path = write("a.TextGrid", TEXTGRID.replace("ann", "Ånn").encode("utf-16"))
    assert read_turns(path)[0].speaker == "Ånn"


def test_files_of_the_tools_own_libraries(tmp_path):
    import srt
    import webvtt
    from praatio import textgrid

    subtitles = [
        srt.Subtitle(1, srt.timedelta(seconds=1), srt.timedelta(seconds=2.5), "Ann: hello")
    ]
    (tmp_path / "a.srt").write_text(srt.compose(subtitles))
    cues = webvtt.WebVTT()
    cues.captions.append(webvtt.Caption("00:00:01.000", "00:00:02.500", "Ann: hello"))
    cues.save(str(tmp_path / "a.vtt"))
    grid = textgrid.Textgrid()
    grid.addTier(textgrid.IntervalTier("Ann", [(1.0, 2.5, "hello")], 0, 4))
    for form in ("long_textgrid", "short_textgrid"):
        grid.save(str(tmp_path / f"{form}.TextGrid"), form, includeBlankSpaces=True)
    for path in tmp_path.iterdir():
        assert plain(read_turns(path)) == [(1.0, 2.5, "Ann", "hello")], path.name


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.rttm", "SPEAKER call 1 0.5\n", "line 1: SPEAKER has 4 fields"),
        ("a.rttm", "\nSPEAKER c 1 x 1 <NA> <NA> ann\n", "line 2: 'x' is no number"),
        ("a.rttm", "SPEAKER c 1 nan 1 <NA> <NA> ann\n", "line 1: .*finite"),
        ("a.rttm", "SPEAKER c 1 5 -1 <NA> <NA> ann\n", "line 1: turn from 5 to 4 s: .*ends after"),
        ("a.rttm", "SPEAKER c 1 -1 2 <NA> <NA> ann\n", "starts at 0 s or later"),
        ("a.rttm", "SPEAKER c 1 0 1e300 <NA> <NA> ann\n", "ends by"),
        ("a.rttm", "", "no turns in it"),
        ("a.ctm", "call 1 0.5\n", "line 1: 3 fields"),
        ("a.srt", "1\n00:00 --> later\n", "line 2: times of a cue"),
        ("a.vtt", "00:00.500 --> 00:02.500\nhi\n", "line 1: WebVTT begins"),
        ("a.txt", "0.5 2.5 ann\n", "line 1: .*tab"),
        ("a.TextGrid", TEXTGRID[:300], "ends too early, after line 17"),
        ("a.TextGrid", TEXTGRID.replace("xmin = 2.5", "xmin = x"), "line 22: .* has a number"),
        ("a.TextGrid", TEXTGRID.replace("0.5\n", "3.5\n"), "line 16: turn from 3.5 to 2.5 s"),
        ("a.TextGrid", TEXTGRID.replace("size = 2", "size = 1e9"), "tiers|count"),
        ("a.TextGrid", "hello", "begins with"),
        ("a.json", "{", "cannot be read as JSON"),
        ("a.json", "[" * 100_000, "cannot be read as JSON"),
        ("a.json", '{"segments": [{"start": "0"}]}', "entry 1: start is '0', not a number"),
        ("a.json", '{"segments": [5]}', "entry 1: not an object"),
        ("a.json", '{"segments": [{"start": 1' + "0" * 400 + ', "end": 2}]}', "too large"),
        ("a.json", '{"segments": [{"start": NaN, "end": 2}]}', "finite"),
        ("a.json", '{"words": []}', "neither WhisperX"),
        ("a.rttm", b"SPEAKER \xff", "not utf-8"),
        ("a.docx", "x", "turns are read from"),
    ],
)
def test_damaged_files_are_refused_with_the_line(write, name, text, message):
    with pytest.raises(TurnFileError, match=message):
        read_turns(write(name, text))


def test_a_missing_file_a_folder_and_a_pipe(tmp_path):
    with pytest.raises(TurnFileError, match="No such file"):
        read_turns(tmp_path / "a.rttm")
    (tmp_path / "b.rttm").mkdir()
    os.mkfifo(tmp_path / "c.rttm")
    for name in ("b.rttm", "c.rttm"):
        with pytest.raises(TurnFileError, match="not a regular file"):
            read_turns(tmp_path / name)
    with pytest.raises(TurnFileError):
        read_turns("nul\0.rttm")


@given(data=st.data())
def test_mutated_files_are_read_or_refused(data, tmp_path_factory):
    name = data.draw(st.sampled_from(sorted(FILES)))
    text = FILES[name]
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 8))
        text = text[:at] + data.draw(st.text(max_size=8)) + text[at + cut :]
    path = tmp_path_factory.getbasetemp() / f"mutated{name}"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        turns = read_turns(path)
    except TurnFileError:
        return
    assert all(0 <= turn.start < turn.end for turn in turns)
    assert turns == sorted(turns, key=lambda turn: (turn.start, turn.end))


def test_turns_in_python():
    turns = as_turns([(2.0, 3.0, "b"), (0, 1, None), GivenTurn(1.0, 2.0, "a", "hi")])
    assert plain(turns) == [(0.0, 1.0, None, None), (1.0, 2.0, "a", "hi"), (2.0, 3.0, "b", None)]
    for wrong in [(1, 2)], [("x", 2, "a")], [5], [(2.0, 1.0, "a")], [(0, float("nan"), "a")]:
        with pytest.raises(TurnFileError):
            as_turns(wrong)


def test_every_ending_has_a_test():
    assert {Path(name).suffix.lower() for name in FILES} == READERS.keys()
