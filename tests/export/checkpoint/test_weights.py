"""Weights where real files keep them, and weights that do not fit."""

import argparse
import collections

import numpy as np
import pytest
import torch
from checkpoints import write_checkpoint

from emotion2vec_edge.engine.errors import CheckpointError
from emotion2vec_edge.export.checkpoint.folder import load_checkpoint
from emotion2vec_edge.export.checkpoint.weights import read_weights


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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.to(torch.int64), "no floating-point numbers: blocks.0.norm1.weight"),
        (lambda t: torch.full_like(t, 1e300, dtype=torch.float64), "NaN or infinite"),
        (lambda t: t.to_sparse(), "blocks.0.norm1.weight is of the kind 'sparse tensor'"),
        (lambda t: t.to("meta"), "only dense tensors"),
    ],
)
def test_weights_of_another_kind(tmp_path, change, message):
    name = "blocks.0.norm1.weight"
    write_checkpoint(tmp_path, wrap=lambda w: {"model": {**w, name: change(w[name])}})
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path)


def test_bfloat16_weights_are_read_as_float32(tmp_path):
    write_checkpoint(
        tmp_path, wrap=lambda w: {"model": {k: v.to(torch.bfloat16) for k, v in w.items()}}
    )
    model = load_checkpoint(tmp_path).model
    assert {p.dtype for p in model.parameters()} == {torch.float32}
