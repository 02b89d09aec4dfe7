"""Limits of what a user decides, on the Python side."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.settings import (
    MOST_SECONDS,
    IntakeSettings,
    ReportSettings,
    check_probability,
    check_seconds,
)

NO_NUMBERS = ["2", "nan", None, [], 1j, object()]


@given(st.one_of(st.floats(), st.integers(), st.sampled_from(NO_NUMBERS)))
def test_a_duration_is_a_number_within_its_limits(value):
    try:
        check_seconds("a window", value, 0.02)
    except OptionError as error:
        assert "a window of" in str(error)
        assert "give 0.02 to 1,000,000 s" in str(error)
    else:
        assert 0.02 <= value <= MOST_SECONDS


@given(st.one_of(st.floats(), st.integers(), st.sampled_from(NO_NUMBERS)))
def test_a_probability_is_a_number_from_0_to_1(value):
    try:
        check_probability("reject_below", value)
    except OptionError as error:
        assert "reject_below is" in str(error)
    else:
        assert 0 <= value <= 1


@pytest.fixture(scope="module")
def encoding(recognizer, example):
    return recognizer.encode(example)


@settings(max_examples=25)
@given(value=st.one_of(st.floats(), st.sampled_from([1e308, 1e7, math.inf, math.nan, -1.0, "2"])))
def test_any_value_in_python_gives_a_result_or_an_option_error(
    value, recognizer, example, encoding
):
    for call in (
        lambda: Recognizer.load(chunk_seconds=value),
        lambda: Recognizer.load(context_seconds=value),
        lambda: Recognizer.load(reject_below=value),
        lambda: recognizer.encode(example, max_seconds=value, cut=True),
        lambda: encoding.timeline(window=value),
        lambda: encoding.timeline(hop=value),
        lambda: encoding.timeline(1.0, 0.5).segments(value),
        lambda: recognizer.stream(window=value),
        lambda: recognizer.stream(hop=value),
        lambda: ReportSettings(window=value),
        lambda: ReportSettings(hop=value),
        lambda: ReportSettings(min_segment=value),
        lambda: IntakeSettings(max_seconds=value),
    ):
        try:
            call()
        except OptionError:
            continue
        assert 0 <= value <= MOST_SECONDS


def test_reports_that_cannot_be():
    for arguments in ({"granularity": "word"}, {"top": 0}, {"top": -1}):
        with pytest.raises(OptionError, match="give"):
            ReportSettings(**arguments)
