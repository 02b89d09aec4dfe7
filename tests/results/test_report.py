"""Reports are built from an encoding in one place."""

import json

import pytest

from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.results.report import Report, json_text
from emotion2vec_edge.engine.settings import ReportSettings


@pytest.fixture(scope="module")
def encoding(recognizer, example):
    return recognizer.encode(example)


def test_a_report_of_the_whole_recording(encoding):
    report = Report.of(encoding, "x.flac", ReportSettings(top=2), "out/x.npy")
    found = report.to_dict()
    assert (found["file"], found["granularity"]) == ("x.flac", "utterance")
    assert found["embedding"] == "out/x.npy"
    assert len(found["top"]) == 2
    assert found["scores"] == encoding.utterance().scores
    with pytest.raises(OptionError, match="needs a timeline"):
        report.segments()


def test_a_report_with_its_windows(encoding):
    settings = ReportSettings(granularity="frame", window=1.0, hop=0.5, min_segment=2.0)
    report = Report.of(encoding, "x.flac", settings)
    document = json.loads("".join(json_text(report)))
    assert document["granularity"] == "frame"
    assert document["frames"] == [window.to_dict() for window in encoding.timeline(1.0, 0.5)]
    assert report.segments() == encoding.timeline(1.0, 0.5).segments(2.0)
    assert "embedding" not in document


def test_a_number_that_json_cannot_hold_is_refused(encoding):
    """Such numbers are refused before they come here; a report that holds one is a fault."""
    import dataclasses

    utterance = dataclasses.replace(encoding.utterance(), confidence=float("nan"))
    with pytest.raises(ValueError, match="JSON"):
        "".join(json_text(Report("x.flac", utterance)))
