"""Utterances as values."""

import json

import numpy as np
import pytest

from emotion2vec_edge.engine.audio.meter import AudioWarning
from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.results.types import Timings, Utterance


def utterance(**changes):
    fields = {
        "emotion": "sad",
        "confidence": 0.6,
        "scores": {"angry": 0.1, "sad": 0.6, "neutral": 0.3},
        "embedding": np.zeros(4, np.float32),
        "seconds": 2.0,
        "warnings": (AudioWarning("short", "too short"),),
        "timings": Timings(0.1, 0.2),
        "normalization": "whole",
        "model": "m",
        "provider": "cpu",
    }
    return Utterance(**{**fields, **changes})


def test_top_is_sorted_and_as_long_as_asked():
    assert utterance().top(2) == [("sad", 0.6), ("neutral", 0.3)]
    assert len(utterance().top(9)) == 3
    with pytest.raises(OptionError):
        utterance().top(0)


def test_the_dict_form_is_json_with_the_known_fields():
    document = json.loads(json.dumps(utterance().to_dict()))
    assert document["emotion"] == "sad"
    assert document["top"][1] == {"emotion": "neutral", "confidence": 0.3}
    assert document["warnings"] == [{"code": "short", "message": "too short"}]
