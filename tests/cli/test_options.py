"""Any value of any option ends in a result or in an OptionError, at once."""

from typing import get_args

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion2vec_edge.engine.cli.recognize import recognize
from emotion2vec_edge.engine.cli.stream import stream
from emotion2vec_edge.engine.errors import AudioTooLongError, OptionError
from emotion2vec_edge.engine.results.writers.formats import FORMATS
from emotion2vec_edge.engine.settings import SampleFormat
from emotion2vec_edge.engine.streaming.writers import WINDOW_FORMATS

IMPOSSIBLE = ("1e308", "-1e308", "1e7", "inf", "-inf", "nan", "-1", "-1e-9")

DURATIONS = ("--window", "--hop", "--max-seconds", "--chunk-seconds", "--context-seconds",
             "--min-segment", "--reject-below")  # fmt: skip


def run(verb, *args):
    """Run a verb in this process; raises what it does not tell the user."""
    done = CliRunner().invoke(verb, [str(arg) for arg in args], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.return_value


@pytest.mark.parametrize("option", DURATIONS)
@pytest.mark.parametrize("value", IMPOSSIBLE)
def test_impossible_durations_are_refused(option, value, example):
    with pytest.raises(OptionError, match="give"):
        run(recognize, example, "--granularity", "frame", f"{option}={value}")


@pytest.mark.parametrize(
    "option", ["--vad-threshold", "--min-speech", "--min-silence", "--padding", "--max-speech"]
)
@pytest.mark.parametrize("value", IMPOSSIBLE)
def test_impossible_rules_for_segments_are_refused(option, value, example):
    with pytest.raises(OptionError, match="give"):
        run(recognize, example, "--turns", "vad", f"{option}={value}")


@pytest.mark.parametrize("option", ["--window", "--hop"])
@pytest.mark.parametrize("value", IMPOSSIBLE)
def test_impossible_windows_of_a_stream_are_refused(option, value, example):
    with pytest.raises(OptionError, match="give"):
        run(stream, example, f"{option}={value}")


@settings(max_examples=40)
@given(
    values=st.dictionaries(
        st.sampled_from(DURATIONS),
        st.one_of(st.floats(), st.floats(0, 10), st.sampled_from([0.001, 1e6, 5e-324])),
        min_size=1,
        max_size=4,
    ),
    format_=st.sampled_from(["jsonl", "srt", "csv"]),
)
def test_any_durations_together(values, format_, example):
    options = [f"{option}={value}" for option, value in values.items()]
    try:
        code = run(recognize, example, "--format", format_, "--granularity", "frame", *options)
    except OptionError:
        return
    limit = values.get("--max-seconds", 10.0)
    assert code == (0 if limit >= 5.3 else AudioTooLongError.exit_code)


def test_choices_name_everything_that_there_is():
    choices = {
        option.name: option.type.choices
        for verb in (recognize, stream)
        for option in verb.params
        if option.name in ("format_", "sample_format")
    }
    assert tuple(choices["sample_format"]) == get_args(SampleFormat)
    assert tuple(choices["format_"]) == WINDOW_FORMATS
    (formats,) = (option.type.choices for option in recognize.params if option.name == "format_")
    assert tuple(formats) == FORMATS
