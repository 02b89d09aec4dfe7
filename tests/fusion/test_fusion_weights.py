"""Fitted weights: the likeliest, from other speakers, and calibrated."""

import numpy as np
import pytest

from emotion2vec_edge.engine.errors import ModalityError
from emotion2vec_edge.engine.fusion.truth import TrueSpan, match_truth, read_truth
from emotion2vec_edge.engine.fusion.weights import fit_weights, read_weights, write_weights
from emotion2vec_edge.engine.metrics import unweighted_accuracy


@pytest.fixture(scope="module")
def fit(aligned, truth):
    return fit_weights(aligned, truth, [str(n % 20) for n in range(len(truth))])


def test_senses_that_err_independently_weigh_one_and_noise_weighs_nothing(fit):
    found = fit.weights.weights
    assert found["speech"] == pytest.approx(1, abs=0.15)
    assert found["face"] == pytest.approx(1, abs=0.15)
    assert found["noise"] < 0.05
    assert fit.weights.temperature == pytest.approx(1, abs=0.1)


def test_the_weights_are_those_of_scipy(fit, aligned, truth):
    optimize = pytest.importorskip("scipy.optimize")
    part = aligned.evidence * aligned.coverage[..., None]

    def loss(weights):
        logits = np.einsum("smk,m->sk", part, weights)
        return (np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(truth)), truth]).mean()

    best = optimize.minimize(loss, np.ones(3), bounds=[(0, None)] * 3, method="L-BFGS-B").x
    np.testing.assert_allclose(list(fit.weights.weights.values()), best, atol=0.02)


def test_the_result_is_better_than_each_sense_and_calibrated(fit, aligned, truth):
    assert fit.ece < 0.05
    for number in range(3):
        alone = unweighted_accuracy(truth, aligned.evidence[:, number].argmax(axis=1))
        assert fit.ua > alone


def test_no_speaker_is_on_both_sides(aligned, truth):
    """Two speakers whose face means opposite things: weights of the other are wrong."""
    flipped = aligned.evidence.copy()
    own = np.arange(len(truth)) % 2 == 0
    flipped[own] = -flipped[own]
    opposite = type(aligned)(**{**vars(aligned), "evidence": flipped})
    fit = fit_weights(opposite, truth, ["ab"[n % 2] for n in range(len(truth))])
    assert fit.ua < 0.45


def test_too_little_to_fit_on_is_refused(aligned, truth):
    with pytest.raises(ModalityError, match="3000 labelled spans of 1 speakers"):
        fit_weights(aligned, truth, ["ann"] * len(truth))


def test_weights_survive_writing_and_reading(fit, tmp_path):
    write_weights(fit, tmp_path / "weights.json")
    assert read_weights(tmp_path / "weights.json") == fit.weights
    (tmp_path / "weights.json").write_text('{"weights": {"face": -1}, "temperature": 1}')
    with pytest.raises(ModalityError, match="weights.face should be"):
        read_weights(tmp_path / "weights.json")


def test_truth_is_matched_by_the_middle_of_a_span(aligned, write):
    rows = [
        {"start": 0, "end": 2, "label": "sad", "speaker": "ann"},
        {"start": 2.4, "end": 3.4, "label": "angry", "speaker": "ben"},
    ]
    found = match_truth(aligned, read_truth(write("truth.jsonl", *rows)))
    assert found.truth.tolist() == [2, 2, 0]
    assert found.speakers == ("ann", "ann", "ben")
    with pytest.raises(ModalityError, match="'bored' is none of those fused"):
        match_truth(aligned, [TrueSpan(0, 1, "bored", "ann")])
    with pytest.raises(ModalityError, match="line 1: label is missing"):
        read_truth(write("truth.jsonl", {"start": 0, "end": 1}))
    with pytest.raises(ModalityError, match="line 1: no JSON"):
        read_truth(write("truth.jsonl", "nothing"))
