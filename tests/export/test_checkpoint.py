"""Reading FunASR checkpoints, the good and the bad, without executing anything of them."""

import argparse
import collections
import pickle

import numpy as np
import pytest
import torch
from checkpoints import TOKENS, document, write_checkpoint
from hypothesis import given
from hypothesis import strategies as st

from emotion2vec_edge.engine.errors import CheckpointError, UnsupportedConfigError
from emotion2vec_edge.export.checkpoint.config import read_config
from emotion2vec_edge.export.checkpoint.conv_spec import ConvLayer, parse_conv_spec
from emotion2vec_edge.export.checkpoint.folder import load_checkpoint
from emotion2vec_edge.export.checkpoint.labels import parse_label
from emotion2vec_edge.export.checkpoint.weights import read_weights


def test_the_real_spec():
    layers = parse_conv_spec("[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512,2,2)] + [(512,2,2)]")
    assert len(layers) == 7
    assert layers[0] == ConvLayer(512, 10, 5)
    assert layers[-1] == ConvLayer(512, 2, 2)


layer_triples = st.tuples(st.integers(1, 999), st.integers(1, 20), st.integers(1, 9))


@given(st.lists(st.tuples(layer_triples, st.integers(1, 4)), min_size=1, max_size=8))
def test_any_sum_of_repeated_lists_is_what_python_says(parts):
    text = " + ".join(f"[{triple}] * {times}" for triple, times in parts)
    expected = [triple for triple, times in parts for _ in range(times)]
    assert [
        (layer.channels, layer.kernel, layer.stride) for layer in parse_conv_spec(text)
    ] == expected


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')", "[(512, 10, 5)] * 10**9", "[(512, 10)]", "[]", "", "1",
        "[(512, 10, 5.0)]", "[(0, 10, 5)]", "[(-1, 10, 5)]", "[(512, 10, 5)", "[x for x in y]",
        "[(1,1,1)] * 65", "(" * 500, "[(True, 10, 5)] + [open]",
    ],
)  # fmt: skip
def test_specs_that_are_refused(text):
    with pytest.raises(UnsupportedConfigError, match="feature_encoder_spec"):
        parse_conv_spec(text)


def test_a_checkpoint(tmp_path):
    write_checkpoint(tmp_path)
    checkpoint = load_checkpoint(tmp_path)
    assert [label.id for label in checkpoint.labels] == ["angry", "disgusted", "happy", "unknown"]
    assert checkpoint.model.encoder.head.out_features == 4  # without unuse_0
    assert (checkpoint.config.hop, checkpoint.config.receptive_field) == (320, 400)
    assert set(checkpoint.files) == {"config.yaml", "model.pt", "tokens.txt"}


def test_the_trained_checkpoint(small_checkpoint):
    checkpoint = load_checkpoint(small_checkpoint)
    assert sum(p.numel() for p in checkpoint.model.parameters()) == 5_458_317


def test_labels():
    assert (parse_label("生气/angry").id, parse_label("生气/angry").display) == ("angry", "生气")
    assert parse_label("<unk>").id == "unknown"
    assert parse_label("calm").display == "calm"


def prefixed(prefix):
    return lambda weights: {"model": {prefix + name: t for name, t in weights.items()}}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda w: w,
        lambda w: {"state_dict": w},
        lambda w: {"model_state_dict": w, "epoch": 3, "optimizer": {"state": {}, "lr": 1e-4}},
        prefixed("d2v_model."),
        prefixed("module."),
        prefixed("module.d2v_model."),
        lambda w: {"model": collections.OrderedDict(w)},
        lambda w: {"model": {**w, "modality_encoders.AUDIO.decoder.proj.weight": torch.ones(2),
                             "recon_proj.weight": torch.ones(1), "_ema": {"a": torch.ones(1)}}},
        lambda w: {"model": w, "last_optimizer_state": {"exp_avg": torch.ones(5)},
                   "args": argparse.Namespace(lr=1), "loss": np.float64(0.5)},
        lambda w: {"model": {name: tensor.half() for name, tensor in w.items()}},
    ],
)  # fmt: skip
def test_weights_where_real_files_keep_them(tmp_path, wrap):
    weights = write_checkpoint(tmp_path, wrap=wrap)
    model = load_checkpoint(tmp_path).model
    expected = weights["blocks.1.mlp.fc2.weight"]
    torch.testing.assert_close(model.encoder.blocks[1].fc2.weight.data, expected, atol=1e-3, rtol=0)


def test_the_format_of_before_torch_1_6(tmp_path):
    weights = write_checkpoint(tmp_path)
    torch.save({"model": weights}, tmp_path / "model.pt", _use_new_zipfile_serialization=False)
    assert load_checkpoint(tmp_path).labels


def test_a_four_dimensional_alibi_scale_is_upgraded(tmp_path):
    name = "modality_encoders.AUDIO.alibi_scale"
    weights = write_checkpoint(tmp_path, wrap=lambda w: {"model": {**w, name: w[name].squeeze(0)}})
    assert torch.equal(load_checkpoint(tmp_path).model.encoder.alibi_scale.data, weights[name])


def test_nothing_in_a_checkpoint_is_executed(tmp_path):
    proof = tmp_path / "executed"

    class Payload:
        def __reduce__(self):
            return (open, (str(proof), "w"))

    write_checkpoint(tmp_path / "a", wrap=lambda w: {"model": w, "evil": Payload()})
    load_checkpoint(tmp_path / "a")
    (tmp_path / "a" / "model.pt").write_bytes(pickle.dumps({"model": Payload()}))
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path / "a")
    assert not proof.exists()


def without(*names):
    return lambda w: {"model": {k: v for k, v in w.items() if k not in names}}


@pytest.mark.parametrize(
    ("wrap", "message"),
    [
        (without("blocks.0.attn.qkv.bias"), "missing: blocks.0.attn.qkv.bias"),
        (without("proj.bias"), "missing: proj.bias"),
        (lambda w: {"model": {**w, "blocks.9.norm1.weight": torch.ones(32)}}, "blocks.9.norm1"),
        (lambda w: {"model": {**w, "blocks.0.norm1.weight": torch.ones(31)}},
         r"misshapen: blocks.0.norm1.weight is \[31\] and should be \[32\]"),
        (lambda w: {"model": {**w, "blocks.0.norm1.weight": torch.full((32,), torch.nan)}}, "NaN"),
        (lambda w: {"weights": w}, "no weights under any of model, state_dict"),
        (lambda w: [1, 2], "not a dict"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_are_listed(tmp_path, wrap, message):
    write_checkpoint(tmp_path, wrap=wrap)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut off"])
def test_files_that_are_no_checkpoint(tmp_path, content):
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="not a torch checkpoint"):
        read_weights(path)


def test_a_cut_off_download(tmp_path):
    write_checkpoint(tmp_path)
    path = tmp_path / "model.pt"
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(CheckpointError, match="not a torch checkpoint"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("name", ["config.yaml", "model.pt", "tokens.txt"])
def test_missing_files_are_named(tmp_path, name):
    write_checkpoint(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        load_checkpoint(tmp_path)


def test_tokens_must_match_the_head(tmp_path):
    write_checkpoint(tmp_path)
    (tmp_path / "tokens.txt").write_text("\n".join(TOKENS[:-1]), encoding="utf-8")
    with pytest.raises(CheckpointError, match="4 labels for a head of 5"):
        load_checkpoint(tmp_path)
    (tmp_path / "tokens.txt").write_text("a\nb\nc\nd\nx/a\n", encoding="utf-8")
    with pytest.raises(CheckpointError, match="occurs twice"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("text", ["a: [", "\x00", "- 1", "42"])
def test_configs_that_are_no_mapping(tmp_path, text):
    write_checkpoint(tmp_path)
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path)


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
