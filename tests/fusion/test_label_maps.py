"""Label maps: their sources, and scores under the labels that are fused."""

import pytest

from emotion2vec_edge.engine import open_bundle
from emotion2vec_edge.engine.errors import ModalityError
from emotion2vec_edge.engine.fusion.labels import label_map, label_maps, mapped

OURS = [label.id for label in open_bundle().manifest.labels]


@pytest.mark.parametrize(
    ("name", "count"), [("ekman6", 6), ("fer7", 7), ("affectnet8", 8), ("goemotions28", 28)]
)
def test_a_map_is_whole_and_names_its_source(name, count):
    own = label_map(name)
    assert len(own.labels) == count
    assert set(own.labels.values()) <= set(OURS)
    assert any(year in own.source for year in ("1992", "2013", "2019", "2020"))


def test_labels_of_one_emotion_are_summed():
    scores = {"joy": 0.2, "love": 0.3, "anger": 0.4, "neutral": 0.1}
    found = mapped(scores, OURS, label_map("goemotions28"), "here")
    assert found == pytest.approx({"happy": 0.5, "angry": 0.4, "neutral": 0.1})


def test_labels_that_are_not_fused_give_their_share_to_the_others():
    found = mapped({"Happy": 0.3, "contempt": 0.7}, ["happy", "sad"], label_map("affectnet8"), "x")
    assert found == {"happy": 1.0}
    with pytest.raises(ModalityError, match="x: no probability on any of happy, sad"):
        mapped({"contempt": 1.0}, ["happy", "sad"], label_map("affectnet8"), "x")


def test_a_label_that_does_not_map_is_named_with_the_maps():
    with pytest.raises(ModalityError, match="label 'joy' does not map.*goemotions28"):
        mapped({"joy": 1.0}, OURS, None, "x")
    with pytest.raises(ModalityError, match="label 'joy' does not map; fer7 has angry"):
        mapped({"joy": 1.0}, OURS, label_map("fer7"), "x")
    with pytest.raises(ModalityError, match="there are " + ", ".join(label_maps())):
        label_map("plutchik")
