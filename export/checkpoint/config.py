"""The part of a FunASR ``config.yaml`` that decides what an emotion2vec model computes.

Everything is read from the file; nothing about base or large is known here. What the file asks for
and this package does not support is refused by name, and nothing of it is ever executed.
"""

from __future__ import annotations

from typing import Any

from emotion2vec_edge.engine.audio.types import SAMPLE_RATE
from emotion2vec_edge.engine.bundle.schema import MOST_BLOCKS, MOST_EMBED_DIM, MOST_FIELD_SECONDS
from emotion2vec_edge.engine.errors import CheckpointError, UnsupportedConfigError
from emotion2vec_edge.engine.fields import Fields, shown

from ..model.config import ModelConfig
from .conv_spec import CONV_SPEC, parse_conv_spec

MOST_POSITIONS = 1_000
"""Positional layers, frames of their kernel, and extra tokens."""


def config_document(
    *,
    embed_dim: int,
    heads: int,
    prenet_depth: int,
    depth: int,
    mlp_ratio: float = 4.0,
    conv_spec: str = CONV_SPEC,
) -> dict[str, Any]:
    """The content of a ``config.yaml``, with every field that FunASR requires."""
    audio = {
        "type": "AUDIO", "prenet_depth": prenet_depth, "prenet_layerdrop": 0.05,
        "prenet_dropout": 0.1, "start_drop_path_rate": 0.0, "end_drop_path_rate": 0.0,
        "num_extra_tokens": 10, "init_extra_token_zero": True, "mask_noise_std": 0.01,
        "mask_prob": 0.5, "mask_length": 5, "encoder_zero_mask": True, "mask_channel_prob": 0.0,
        "mask_channel_length": 64, "local_grad_mult": 1.0, "use_alibi_encoder": True,
        "alibi_scale": 1.0, "learned_alibi": False, "alibi_max_pos": None,
        "learned_alibi_scale": True, "learned_alibi_scale_per_head": True,
        "learned_alibi_scale_per_layer": False, "num_alibi_heads": heads, "model_depth": depth,
        "decoder": None, "extractor_mode": "layer_norm", "feature_encoder_spec": conv_spec,
        "conv_pos_width": 95, "conv_pos_groups": 16, "conv_pos_depth": 5, "conv_pos_pre_ln": False,
    }  # fmt: skip
    return {
        "tokenizer": "CharTokenizer",
        "tokenizer_conf": {"unk_symbol": "<unk>", "split_with_space": True},
        "frontend_conf": {"fs": SAMPLE_RATE},
        "model": "Emotion2vec",
        "model_conf": {
            "depth": depth, "num_heads": heads, "embed_dim": embed_dim, "mlp_ratio": mlp_ratio,
            "norm_eps": 1e-05, "norm_affine": True, "layer_norm_first": False, "normalize": True,
            "start_drop_path_rate": 0.0, "end_drop_path_rate": 0.0, "encoder_dropout": 0.1,
            "post_mlp_drop": 0.1, "attention_dropout": 0.1, "activation_dropout": 0.0,
            "dropout_input": 0.0, "layerdrop": 0.05, "average_top_k_layers": depth,
            "end_of_block_targets": False, "clone_batch": 8, "modalities": {"audio": audio},
        },
    }  # fmt: skip


def read_config(document: Any) -> ModelConfig:
    """Turn a parsed ``config.yaml`` into a :class:`ModelConfig`.

    Raises:
        CheckpointError: a field is missing or of the wrong kind.
        UnsupportedConfigError: a field asks for what is not supported.
    """
    root = Fields(document, "config.yaml", CheckpointError)
    _require(root, "model", "Emotion2vec")
    model = root.mapping("model_conf")
    audio = model.mapping("modalities").mapping("audio")
    if root.has("frontend_conf"):
        _require(root.mapping("frontend_conf"), "fs", SAMPLE_RATE, SAMPLE_RATE)
    _require(audio, "type", "AUDIO", "AUDIO")
    _require(audio, "extractor_mode", "layer_norm", "layer_norm")
    # FunASR's own learned_alibi path raises a TypeError, so no checkpoint with it can exist.
    _require(audio, "learned_alibi", supported=False, default=False)
    return _consistent(_architecture(model, audio))


def _require(fields: Fields, key: str, supported: object, default: object = None) -> None:
    value = fields.values.get(key, default)
    if type(value) is not type(supported) or value != supported:
        raise UnsupportedConfigError(
            f"{fields.document}: {fields.path(key)} = {shown(value)} is not supported, only "
            f"{supported!r}"
        )


def _architecture(model: Fields, audio: Fields) -> ModelConfig:
    num_heads = model.integer("num_heads", most=MOST_EMBED_DIM)
    return ModelConfig(
        embed_dim=model.integer("embed_dim", most=MOST_EMBED_DIM),
        num_heads=num_heads,
        # YAML 1.1 reads 1e-05, without a dot, as text, and published configs hold it.
        mlp_ratio=model.number("mlp_ratio", least=0.01, most=64, from_text=True),
        prenet_depth=audio.integer("prenet_depth", least=0, most=MOST_BLOCKS),
        depth=model.integer("depth", least=0, most=MOST_BLOCKS),
        layer_norm_first=model.boolean("layer_norm_first"),
        norm_eps=model.number("norm_eps", least=0, most=1, from_text=True),
        norm_affine=model.boolean("norm_affine"),
        normalize=model.boolean("normalize"),
        conv_layers=parse_conv_spec(audio.text("feature_encoder_spec")),
        conv_pos_width=audio.integer("conv_pos_width", most=MOST_POSITIONS),
        conv_pos_depth=audio.integer("conv_pos_depth", most=MOST_POSITIONS),
        conv_pos_groups=audio.integer("conv_pos_groups", most=MOST_EMBED_DIM),
        conv_pos_pre_ln=audio.boolean("conv_pos_pre_ln", default=False),
        num_extra_tokens=audio.integer("num_extra_tokens", least=0, most=MOST_POSITIONS),
        use_alibi=audio.boolean("use_alibi_encoder"),
        num_alibi_heads=audio.integer("num_alibi_heads", num_heads, most=MOST_EMBED_DIM),
        alibi_scale_per_layer=audio.boolean("learned_alibi_scale_per_layer", default=False),
        alibi_scale_per_head=audio.boolean("learned_alibi_scale_per_head", default=False),
    )


def _consistent(config: ModelConfig) -> ModelConfig:
    for divisor in ("num_heads", "conv_pos_groups"):
        if config.embed_dim % getattr(config, divisor):
            raise CheckpointError(
                f"config.yaml: embed_dim {config.embed_dim} is not a multiple of "
                f"{divisor} {getattr(config, divisor)}"
            )
    if config.hop > SAMPLE_RATE or config.receptive_field > MOST_FIELD_SECONDS * SAMPLE_RATE:
        raise UnsupportedConfigError(
            f"config.yaml: feature_encoder_spec gives a frame every {shown(config.hop)} samples "
            f"that depends on {shown(config.receptive_field)} samples; at most {SAMPLE_RATE} and "
            f"{MOST_FIELD_SECONDS * SAMPLE_RATE} are supported"
        )
    if config.mlp_dim < 1:
        raise CheckpointError(f"config.yaml: mlp_ratio {config.mlp_ratio} leaves no hidden layer")
    if config.num_alibi_heads > config.num_heads:
        raise CheckpointError(
            f"config.yaml: num_alibi_heads {config.num_alibi_heads} is more than "
            f"num_heads {config.num_heads}"
        )
    return config
