"""Log-linear pooling: Bayes' rule, missing senses, and who said how much."""

import numpy as np
import pytest

from emotion2vec_edge.engine.errors import ModalityError
from emotion2vec_edge.engine.fusion.alignment import align
from emotion2vec_edge.engine.fusion.modality import ScoredSpan
from emotion2vec_edge.engine.fusion.pooling import NOTHING, FusionWeights, fuse


def one(**senses):
    return align({
        name: [ScoredSpan(name, 0, 1, {"sad": sad, "happy": 1 - sad})]
        for name, sad in senses.items()
    })  # fmt: skip


def test_with_weights_of_one_it_is_the_rule_of_bayes():
    (found,) = fuse(one(speech=0.6, face=0.8), FusionWeights({}))
    assert found.scores["sad"] == pytest.approx(0.6 * 0.8 / (0.6 * 0.8 + 0.4 * 0.2))
    assert (found.emotion, found.confidence) == ("sad", found.scores["sad"])


def test_an_unsure_sense_changes_nothing_and_says_so():
    (alone,) = fuse(one(speech=0.6), FusionWeights({}))
    (found,) = fuse(one(speech=0.6, face=0.5), FusionWeights({}))
    assert found.scores == pytest.approx(alone.scores)
    assert found.contributions == {"speech": 1.0, "face": 0.0}


def test_a_sense_that_disagrees_counts_below_zero():
    (found,) = fuse(one(speech=0.9, face=0.3), FusionWeights({}))
    assert found.emotion == "sad"
    assert found.contributions["speech"] > 0 > found.contributions["face"]
    assert sum(map(abs, found.contributions.values())) == pytest.approx(1, abs=1e-3)


def test_a_weight_and_a_temperature_do_what_they_say():
    (none,) = fuse(one(speech=0.6, face=0.9), FusionWeights({"face": 0}))
    assert none.scores["sad"] == pytest.approx(0.6)
    (flat,) = fuse(one(speech=0.9), FusionWeights({}, temperature=2))
    assert flat.scores["sad"] == pytest.approx(3 / 4)  # the square root of odds of 9


def test_half_a_span_counts_half():
    speech = [ScoredSpan("speech", 0, 2, {"sad": 0.5, "happy": 0.5})]
    face = [ScoredSpan("face", 0, 1, {"sad": 0.9, "happy": 0.1})]
    (found,) = fuse(align({"speech": speech, "face": face}), FusionWeights({}))
    assert found.scores["sad"] == pytest.approx(3 / 4)


def test_where_nothing_was_said_the_answer_is_unknown():
    (found,) = fuse(one(speech=0.5), FusionWeights({}))
    assert (found.emotion, found.confidence, found.contributions) == (NOTHING, 0.5, {})


@pytest.mark.parametrize("weight", [-1, float("nan"), float("inf"), 1e9])
def test_a_weight_that_is_none_is_refused(weight):
    with pytest.raises(ModalityError, match="weight of face"):
        FusionWeights({"face": weight})
    with pytest.raises(ModalityError, match="temperature"):
        FusionWeights({}, temperature=0)
    with pytest.raises(ModalityError, match="weight of 'smell', which has no scores"):
        fuse(one(speech=0.5), FusionWeights({"smell": 1}))


def test_no_score_is_so_sure_that_others_cannot_object():
    (found,) = fuse(one(speech=1.0, face=0.0), FusionWeights({}))
    assert found.scores["sad"] == pytest.approx(0.5)
    assert np.isfinite(list(found.scores.values())).all()
