"""The config of a checkpoint: every field with its type and its limits."""

import pytest
from checkpoints import document

from emotion2vec_edge.engine.errors import CheckpointError, UnsupportedConfigError
from emotion2vec_edge.export.checkpoint.config import read_config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"extractor_mode": "default"}, "extractor_mode = 'default' is not supported"),
        ({"learned_alibi": True}, "learned_alibi = True"),
        ({"type": "IMAGE"}, "type = 'IMAGE'"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(changes, message):
    with pytest.raises(UnsupportedConfigError, match=message):
        read_config(document(**changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embed_dim": "many"}, "embed_dim should be an integer"),
        ({"embed_dim": 30}, "embed_dim 30 is not a multiple"),
        ({"depth": -1}, "model_conf.depth should be an integer from 0 to 1000, found -1"),
        ({"depth": 10**9}, "model_conf.depth should be"),
        ({"embed_dim": True}, "embed_dim should be an integer"),
        ({"mlp_ratio": float("inf")}, "mlp_ratio should be a number from 0.01 to 64"),
        ({"mlp_ratio": float("nan")}, "mlp_ratio should be a number"),
        ({"conv_pos_width": 1 << 100_000}, "conv_pos_width should be"),
        ({"feature_encoder_spec": "[(1, 1, 1)] + " * 100_000}, "text of 1 to 1000 characters"),
        ({"layer_norm_first": "no"}, "layer_norm_first should be true or false"),
        ({"norm_eps": "tiny"}, "norm_eps should be a number"),
        ({"num_alibi_heads": 8}, "num_alibi_heads 8"),
        ({"feature_encoder_spec": None}, "feature_encoder_spec is missing; it should be text"),
        ({"feature_encoder_spec": 5}, "feature_encoder_spec should be text, found 5"),
        ({"modalities": None}, "modalities is missing; it should be a mapping"),
        ({"modalities": []}, "modalities should be a mapping, found"),
        ({"mlp_ratio": None}, "mlp_ratio is missing"),
    ],
)
def test_fields_that_make_no_sense(changes, message):
    with pytest.raises(CheckpointError, match=message):
        read_config(document(**changes))


def test_other_models_and_rates_are_refused():
    with pytest.raises(UnsupportedConfigError, match="SenseVoice"):
        read_config({**document(), "model": "SenseVoice"})
    with pytest.raises(UnsupportedConfigError, match="fs = 8000"):
        read_config({**document(), "frontend_conf": {"fs": 8000}})


def test_numbers_that_yaml_reads_as_text():
    assert read_config(document(norm_eps="1e-05")).norm_eps == 1e-5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"feature_encoder_spec": "[(2, 8, 8)] * 9"}, "gives a frame every 134217728 samples"),
        ({"feature_encoder_spec": "[(2, 16000, 5)] * 3"}, "that depends on 495970 samples"),
        ({"feature_encoder_spec": "[(2, 20000, 5)]"}, "triple of integers from 1 to 16384"),
        ({"feature_encoder_spec": "[(True, 10, 5)]"}, "triple of integers"),
        ({"mlp_ratio": 0.02}, "mlp_ratio 0.02 leaves no hidden layer"),
    ],
)
def test_sizes_that_no_bundle_can_have(changes, message):
    with pytest.raises(CheckpointError, match=message):
        read_config(document(**changes))
