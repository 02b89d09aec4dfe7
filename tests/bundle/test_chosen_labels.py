"""Answers restricted to some of the model's labels, in every kind of result."""

import json

import numpy as np
import pytest

from emotion2vec_edge.engine import Recognizer, load_audio
from emotion2vec_edge.engine.batch.run import run_digest
from emotion2vec_edge.engine.batch.settings import BatchSettings
from emotion2vec_edge.engine.errors import BundleFormatError, OptionError

SOME = ("sad", "angry", "neutral", "happy")
KEPT = ("angry", "happy", "neutral", "sad")


@pytest.fixture(scope="module")
def some_labels():
    return Recognizer.load(precision="fp32", labels=SOME)


def renormalized(scores):
    total = sum(scores[label] for label in KEPT)
    return pytest.approx({label: scores[label] / total for label in KEPT}, rel=1e-4)


def test_labels_that_were_chosen_share_the_probability(recognizer, some_labels, example):
    every, some = recognizer.encode(example), some_labels.encode(example)
    assert some_labels.labels == KEPT
    assert dict(some.utterance().scores) == renormalized(every.utterance().scores)
    np.testing.assert_array_equal(some.embedding(), every.embedding())
    for ours, theirs in zip(some.timeline(1.0, 0.5), every.timeline(1.0, 0.5), strict=True):
        assert dict(ours.scores) == renormalized(theirs.scores)
    samples = load_audio(example).samples
    ours, theirs = (list(each.stream([samples])) for each in (some_labels, recognizer))
    assert [w.scores for w in ours] == [renormalized(w.scores) for w in theirs]
    spoken = [(0.0, 2.0, "ann"), (2.0, 2.01, "ann")]
    ours, theirs = (each.turns(example, spoken) for each in (some_labels, recognizer))
    assert ours.labels == tuple(ours[1].scores) == KEPT
    assert dict(ours[0].scores) == renormalized(theirs[0].scores)
    assert ours[1].confidence == 1 / 4  # too short for the model


def test_a_result_says_that_its_labels_were_chosen(recognizer, some_labels, example):
    for each, restricted in ((recognizer, False), (some_labels, True)):
        (window, *_) = each.stream([load_audio(example).samples])
        found = each.recognize(example), each.turns(example, [(0.0, 2.0, "ann")]), window
        assert [result.to_dict()["restricted"] for result in found] == [restricted] * 3
    assert not some_labels.recognize(example).calibrated
    assert run_digest(recognizer, BatchSettings()) != run_digest(some_labels, BatchSettings())


def test_all_labels_are_no_choice(recognizer, example):
    every = Recognizer.load(precision="fp32", labels=recognizer.labels[::-1])
    assert not every.recognize(example).restricted
    assert every.recognize(example).scores == recognizer.recognize(example).scores


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["angry", "joyful"], "label 'joyful' is not known: emotion2vec_small has angry, "),
        ("angry", "labels is one text"),
        (["angry", "angry"], "1 labels; give at least 2"),
        ([], "0 labels; give at least 2"),
    ],
)
def test_labels_that_cannot_be_chosen(labels, message):
    with pytest.raises(OptionError, match=message):
        Recognizer.load(labels=labels)


def test_a_graph_with_other_labels_than_the_manifest_is_refused_for_a_choice_too(copy):
    document = json.loads((copy / "bundle.json").read_text())
    document["labels"] = document["labels"][:-1]
    (copy / "bundle.json").write_text(json.dumps(document))
    with pytest.raises(BundleFormatError, match="do not fit"):
        Recognizer.load(copy, labels=["angry", "sad"])
