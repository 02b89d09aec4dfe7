"""Modalities on one time: means over what lies in a span, and what is missing."""

import numpy as np
import pytest

from emotion2vec_edge.engine.errors import ModalityError
from emotion2vec_edge.engine.fusion.alignment import align
from emotion2vec_edge.engine.fusion.labels import label_map
from emotion2vec_edge.engine.fusion.modality import ScoredSpan


def span(start, end, sad, modality="face", file=""):
    return ScoredSpan(modality, start, end, {"sad": sad, "happy": 1 - sad}, file=file)


def test_scores_are_weighted_by_the_seconds_in_the_span():
    speech = [span(0, 4, 0.5, "speech")]
    face = [span(0, 1, 0.9), span(1, 4, 0.1)]
    aligned = align({"speech": speech, "face": face})
    odds = aligned.evidence[0, 1, 0] - aligned.evidence[0, 1, 1]
    mean = (0.9 + 3 * 0.1) / 4
    assert odds == pytest.approx(np.log(mean / (1 - mean)))
    assert aligned.coverage[0].tolist() == [1.0, 1.0]


def test_a_span_is_covered_as_far_as_it_is_and_overlaps_count_once():
    speech = [span(0, 10, 0.5, "speech"), span(10, 20, 0.5, "speech"), span(20, 30, 0.5, "speech")]
    face = [span(2, 4, 0.9), span(3, 5, 0.9), span(9, 12, 0.9)]
    coverage = align({"speech": speech, "face": face}).coverage[:, 1]
    np.testing.assert_allclose(coverage, [0.4, 0.2, 0.0])


def test_a_label_that_a_modality_cannot_give_gets_no_evidence():
    speech = [ScoredSpan("speech", 0, 1, {"sad": 0.4, "happy": 0.3, "other": 0.3})]
    face = [ScoredSpan("face", 0, 1, {"sad": 0.8, "happy": 0.2})]
    evidence = align({"speech": speech, "face": face}).evidence[0]
    assert evidence[1, 2] == 0
    assert evidence[1].sum() == pytest.approx(0)
    assert evidence[0].sum() == pytest.approx(0)


def test_recordings_are_kept_apart():
    speech = [span(0, 1, 0.5, "speech", "a"), span(0, 1, 0.5, "speech", "b")]
    aligned = align({"speech": speech, "face": [span(0, 1, 0.9, file="b")]})
    assert aligned.coverage[:, 1].tolist() == [0.0, 1.0]
    with pytest.raises(ModalityError, match="face has scores of 'c', which speech has none of"):
        align({"speech": speech, "face": [span(0, 1, 0.9, file="c")]})


def test_maps_are_applied_and_checked():
    speech = [span(0, 1, 0.5, "speech")]
    face = [ScoredSpan("face", 0, 1, {"happy": 0.9, "sad": 0.1}, place="f")]
    text = [ScoredSpan("text", 0, 1, {"joy": 0.9, "grief": 0.1}, place="t: line 1")]
    maps = {"text": label_map("goemotions28")}
    evidence = align({"speech": speech, "face": face, "text": text}, maps).evidence[0]
    np.testing.assert_allclose(evidence[1], evidence[2])
    with pytest.raises(ModalityError, match="t: line 1: label 'joy' does not map"):
        align({"speech": speech, "text": text})
    with pytest.raises(ModalityError, match="no scores of 'text'; there are speech"):
        align({"speech": speech}, maps)
