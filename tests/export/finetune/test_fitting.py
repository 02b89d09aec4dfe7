"""Fitting of heads, and the measurements on speakers that were held out."""

import numpy as np
import pytest

from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.export.finetune import fitting


def cloud(rng, labels=3, speakers=6, clips=8, dim=6):
    """Embeddings with a place for each label and a shift for each speaker."""
    centres, shifts = 2.0 * rng.standard_normal((labels, dim)), rng.standard_normal((speakers, dim))
    points, truth, who = [], [], []
    for label in range(labels):
        for speaker in range(speakers):
            for _ in range(clips):
                points.append(centres[label] + shifts[speaker] + 0.3 * rng.standard_normal(dim))
                truth.append(label)
                who.append(f"s{speaker}")
    return np.float32(points), np.array(truth), who


def test_a_label_of_one_speaker_cannot_be_held_out(rng):
    truth = np.array([0] * 10 + [1] * 10)
    speakers = ["a"] * 5 + ["b"] * 5 + ["a"] * 10
    with pytest.raises(OptionError, match=r"single speaker: sad \(only a\)"):
        fitting.fit_head(rng.standard_normal((20, 4)), truth, ["angry", "sad"], speakers)


def test_a_head_is_measured_on_speakers_that_it_did_not_learn_from(rng):
    points, truth, who = cloud(rng)
    # A dimension that tells the label, in another way for each speaker: worthless on a new one.
    cheat = np.array([(label + int(name[1:])) % 3 for name, label in zip(who, truth, strict=True)])
    cheating = np.column_stack([np.float32(rng.standard_normal(len(truth))), 5.0 * cheat])
    fitted = fitting.fit_head(np.float32(cheating), truth, list("abc"), who)
    assert fitted.evidence.ua < 0.5
    fitted = fitting.fit_head(points, truth, list("abc"), who, before=np.zeros(len(truth), int))
    assert fitted.evidence.ua > 0.9
    assert fitted.evidence.ua_before == pytest.approx(1 / 3, abs=1e-4)
    assert fitted.evidence.speakers == 6
    assert fitted.evidence.ece <= fitted.evidence.ece_before + 0.02
    answers = (points @ fitted.weight.T + fitted.bias).argmax(axis=1)
    assert (answers == truth).mean() > 0.95


def test_two_labels_and_unknown_speakers(rng):
    points, truth, _ = cloud(rng, labels=2)
    fitted = fitting.fit_head(points, truth, ["calm", "tense"], [None] * len(truth))
    assert fitted.weight.shape == (2, 6)
    assert ((points @ fitted.weight.T + fitted.bias).argmax(axis=1) == truth).mean() > 0.95
    assert fitted.evidence.speakers is None


def test_a_label_that_a_fold_lacks_is_never_its_answer(rng):
    points, truth, who = cloud(rng, speakers=2, clips=5)
    fitted = fitting.fit_head(points, truth, list("abc"), who)
    assert fitted.evidence.folds == 2
    weight, bias = fitting._fit(points[truth < 2], truth[truth < 2], 3, 1.0)
    assert (weight[2] == 0).all()
    assert (points @ weight.T + bias).argmax(axis=1).max() == 1
