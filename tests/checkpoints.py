"""Small FunASR checkpoints with seeded random weights, written as the real ones are."""

import copy

import torch
import yaml

from emotion2vec_edge.benchmarks.random_models import random_weights
from emotion2vec_edge.export.checkpoint.config import read_config

TOKENS = ["生气/angry", "厌恶/disgusted", "开心/happy", "unuse_0", "<unk>"]

DOCUMENT = {
    "model": "Emotion2vec",
    "model_conf": {
        "depth": 2, "num_heads": 4, "embed_dim": 32, "mlp_ratio": 2.0, "layer_norm_first": False,
        "norm_eps": 1e-5, "norm_affine": True, "normalize": True, "encoder_dropout": 0.1,
        "post_mlp_drop": 0.1, "attention_dropout": 0.1, "activation_dropout": 0.0,
        "dropout_input": 0.0, "layerdrop": 0.05, "start_drop_path_rate": 0.0,
        "end_drop_path_rate": 0.0, "average_top_k_layers": 2, "end_of_block_targets": False,
        "clone_batch": 8,
        "modalities": {
            "audio": {
                "type": "AUDIO", "extractor_mode": "layer_norm", "prenet_depth": 1,
                "feature_encoder_spec": "[(16, 10, 5)] + [(16, 3, 2)] * 4 + [(24,2,2)] + [(32,2,2)]",
                "conv_pos_width": 95, "conv_pos_depth": 5, "conv_pos_groups": 4,
                "conv_pos_pre_ln": False, "num_extra_tokens": 10, "init_extra_token_zero": True,
                "use_alibi_encoder": True, "alibi_scale": 1.0, "learned_alibi": False,
                "alibi_max_pos": None, "learned_alibi_scale": True,
                "learned_alibi_scale_per_head": True, "learned_alibi_scale_per_layer": False,
                "num_alibi_heads": 4, "model_depth": 2, "decoder": None, "prenet_layerdrop": 0.0,
                "prenet_dropout": 0.1, "start_drop_path_rate": 0.0, "end_drop_path_rate": 0.0,
                "local_grad_mult": 1.0, "mask_prob": 0.5, "mask_length": 5, "mask_noise_std": 0.01,
                "encoder_zero_mask": True, "mask_channel_prob": 0.0,
            }
        },
    },
    "tokenizer": "CharTokenizer",
    "frontend_conf": {"fs": 16000},
}  # fmt: skip

FEW_CONVOLUTIONS = "[(32, 240, 160)] + [(32, 2, 2)]"
"""Frames as those of the seven convolutions, traced and run in a part of the time."""


def document(**changes):
    """A config.yaml with fields of model_conf, or of its audio section, changed."""
    changed = copy.deepcopy(DOCUMENT)
    audio = changed["model_conf"]["modalities"]["audio"]
    for name, value in changes.items():
        (audio if name in audio else changed["model_conf"])[name] = value
    return changed


TINY = document(feature_encoder_spec=FEW_CONVOLUTIONS, conv_pos_depth=2)


def write_checkpoint(folder, doc=None, tokens=TOKENS, *, wrap=None, seed=0):
    """Write config.yaml, model.pt and tokens.txt; returns the weights under FunASR's names."""
    doc = doc or DOCUMENT
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(doc, allow_unicode=True), encoding="utf-8")
    weights = random_weights(read_config(doc), len(tokens), seed)
    torch.save(wrap(weights) if wrap else {"model": weights}, folder / "model.pt")
    if tokens:
        (folder / "tokens.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    return weights
