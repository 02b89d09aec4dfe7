"""A speaker's own level: what is subtracted, and from whom it is not."""

import numpy as np
import pytest

from emotion2vec_edge.engine import load_audio
from emotion2vec_edge.engine.audio.meter import AudioWarning
from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.results.types import Turn
from emotion2vec_edge.engine.settings import TurnSettings
from emotion2vec_edge.engine.turns.baseline import without_baseline

LABELS = ("angry", "neutral", "sad")


def turn(start, speaker, scores, *codes):
    best = int(np.argmax(scores))
    warnings = tuple(AudioWarning(code, "…") for code in codes)
    return Turn(
        start, start + 1.0, speaker, None, LABELS[best], scores[best],
        dict(zip(LABELS, scores, strict=True)), warnings,
    )  # fmt: skip


LOUD = [
    turn(0, "ann", [0.90, 0.08, 0.02]),
    turn(2, "ann", [0.80, 0.18, 0.02]),
    turn(4, "ann", [0.90, 0.05, 0.05]),
    turn(6, "ann", [0.98, 0.01, 0.01]),
]
"""Somebody who always sounds angry, most of all in the last turn."""


def test_what_differs_from_the_mean_is_left():
    found = without_baseline(LOUD, 0.0)
    logits = np.log([list(turn.scores.values()) for turn in LOUD])
    expected = np.exp(logits - logits.mean(axis=0))
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose([list(turn.scores.values()) for turn in found], expected, rtol=1e-5)
    assert [turn.emotion for turn in found] == ["neutral", "neutral", "sad", "angry"]
    assert [turn.start for turn in found] == [turn.start for turn in LOUD]
    assert all(turn.confidence == max(turn.scores.values()) for turn in found)
    assert {turn.emotion for turn in without_baseline(LOUD, 0.99)} == {"unknown"}


def test_who_has_no_level():
    others = [
        turn(1, "bob", [0.9, 0.05, 0.05]),
        turn(3, "bob", [0.8, 0.1, 0.1]),
        *(turn(at, None, [0.9, 0.05, 0.05]) for at in (10, 12, 14)),
        turn(20, "ann", [0.9, 0.05, 0.05], "no speech"),
        turn(22, "ann", [0.9, 0.05, 0.05], "silent"),
        turn(24, "ann", [1 / 3, 1 / 3, 1 / 3], "short"),
    ]
    others[-1] = Turn(**{**vars(others[-1]), "emotion": "unknown"})
    found = without_baseline([*LOUD, *others], 0.0)
    assert found[4:] == others
    assert found[:4] == without_baseline(LOUD, 0.0)
    assert without_baseline([], 0.0) == []


def test_scores_of_zero_stay_finite():
    found = without_baseline([turn(at, "ann", [1.0, 0.0, 0.0]) for at in range(3)], 0.0)
    assert np.isfinite([list(turn.scores.values()) for turn in found]).all()


def test_turns_of_a_recording(recognizer, example):
    seconds = load_audio(example).seconds
    given = [(at, at + 1.2, "ann") for at in np.arange(0, seconds - 1.2, 1.2)]
    plain = recognizer.turns(example, given)
    found = recognizer.turns(example, given, baseline=True)
    assert (plain.baseline, found.baseline, found.calibrated) == (False, True, False)
    assert found.to_dict()["baseline"] is True
    assert [dict(turn.scores) for turn in found] == [
        pytest.approx(dict(turn.scores)) for turn in without_baseline(plain.turns, 0.0)
    ]
    with pytest.raises(OptionError, match="voice activity knows none"):
        recognizer.turns(example, baseline=True)
    with pytest.raises(OptionError, match="vad knows none"):
        TurnSettings(baseline=True)
