"""The model card of the hub: its metadata come from the manifest."""

import dataclasses

import pytest

from emotion2vec_edge.engine import open_bundle
from emotion2vec_edge.engine.bundle.bundle import Bundle
from emotion2vec_edge.engine.bundle.card import hub_card

hub = pytest.importorskip("huggingface_hub", reason="SKIPPED LOUDLY: no huggingface_hub")


def data(text):
    return hub.ModelCard(text).data


def with_source(copy, **changes):
    manifest = open_bundle(copy).manifest
    source = dataclasses.replace(manifest.source, **changes)
    return Bundle(copy, dataclasses.replace(manifest, source=source))


def test_the_metadata_are_those_of_the_manifest(copy):
    card = data(hub_card(open_bundle(copy), languages=("pl", "en")))
    assert card.license == "cc-by-nc-sa-4.0"
    assert (card.library_name, card.pipeline_tag) == ("emotion2vec-edge", "audio-classification")
    assert card.language == ["pl", "en"]
    assert card.base_model is None
    results = {result.metric_type: result for result in card.eval_results}
    manifest = open_bundle(copy).manifest
    error = results["expected_calibration_error"].metric_value
    assert error == round(manifest.calibration.ece, 4) > 0
    agreement = manifest.variants["int8"].evidence["agreement"]
    assert results["agreement"].metric_value == round(agreement, 4) > 0.9
    assert results["agreement"].dataset_name != results["expected_calibration_error"].dataset_name


def test_the_text_of_the_bundle_follows(copy):
    text = hub_card(open_bundle(copy))
    assert text.endswith((copy / "README.md").read_text(encoding="utf-8"))
    (copy / "README.md").unlink()
    assert "# emotion2vec_small\n\n- labels: angry, disgusted" in hub_card(open_bundle(copy))


def test_metadata_of_the_author_are_kept_and_the_manifest_knows_better(copy):
    (copy / "README.md").write_text(
        "---\nlanguage: pl\ntags: [mine]\nlicense: mit\nwidget: here\n---\nText\n", encoding="utf-8"
    )
    card = data(hub_card(open_bundle(copy)))
    assert (card.language, card.license, card["widget"]) == ("pl", "cc-by-nc-sa-4.0", "here")
    assert {"mine", "onnx"} <= set(card.tags)


@pytest.mark.parametrize(
    ("licence", "identifier"),
    [("MIT", "mit"), ("Apache-2.0", "apache-2.0"), ("CC BY 4.0", "cc-by-4.0")],
)
def test_licences_by_the_names_of_the_hub(copy, licence, identifier):
    assert data(hub_card(with_source(copy, licence=licence))).license == identifier


def test_other_licences_are_named(copy):
    bundle = with_source(copy, licence="see the authors")
    card = data(hub_card(bundle))
    assert (card.license, card.license_name) == ("other", "see the authors")
    assert data(hub_card(bundle, licence="mit")).license == "mit"


def test_a_checkpoint_of_the_hub_is_the_base_model(copy):
    card = data(hub_card(with_source(copy, origin="hf:emotion2vec/emotion2vec_plus_large")))
    assert card.base_model == "emotion2vec/emotion2vec_plus_large"
    assert card.base_model_relation == "quantized"
    assert data(hub_card(with_source(copy, origin="ms:iic/x"))).base_model is None


def test_a_fitted_head_brings_its_measurements(copy):
    head = {"fitted_on": "own speech", "ua": 0.7512, "wa": 0.8}
    card = data(hub_card(with_source(copy, head=head, origin="hf:a/b")))
    values = {result.metric_name: result.metric_value for result in card.eval_results}
    assert values["UA (mean recall)"] == 0.7512
    assert card.base_model_relation == "finetune"
