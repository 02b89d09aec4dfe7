"""The names of the weights: FunASR's, without the prefixes of wrappers, and this package's."""

from __future__ import annotations

import re

from ..model.config import ModelConfig

PREFIXES = ("module.", "d2v_model.", "model.")
"""Prefixes that wrappers put before every name; removed repeatedly."""

IGNORED = re.compile(
    r"(modality_encoders\.AUDIO\.)?(decoder|shared_decoder|recon_proj|cls_proj|_ema)(\.|$)"
)
"""Parts of pre-training that take no part in inference."""

_AUDIO = "modality_encoders.AUDIO."


def without_prefix(name: str) -> str:
    """A weight's name without the prefixes of wrappers."""
    while True:
        for prefix in PREFIXES:
            if name.startswith(prefix):
                name = name[len(prefix) :]
                break
        else:
            return name


def funasr_names(config: ModelConfig) -> dict[str, str]:
    """This package's parameter names → FunASR's, for one architecture."""
    names: dict[str, str] = {}

    def pair(ours: str, theirs: str) -> None:
        for kind in ("weight", "bias"):
            names[f"{ours}.{kind}"] = f"{theirs}.{kind}"

    for i in range(len(config.conv_layers)):
        layer = f"{_AUDIO}local_encoder.conv_layers.{i}"
        names[f"frontend.convs.{i}.conv.weight"] = f"{layer}.0.weight"
        pair(f"frontend.convs.{i}.norm", f"{layer}.2.1")
    pair("frontend.norm", f"{_AUDIO}project_features.1")
    pair("frontend.project", f"{_AUDIO}project_features.2")

    positional = f"{_AUDIO}relative_positional_encoder"
    if config.conv_pos_pre_ln:
        pair("encoder.positional.pre_norm", f"{positional}.0")
        positional += ".1"
    for i in range(config.conv_pos_depth):
        pair(f"encoder.positional.convs.{i}", f"{positional}.{i + 1}.0")

    names["encoder.extra_tokens"] = f"{_AUDIO}extra_tokens"
    names["encoder.alibi_scale"] = f"{_AUDIO}alibi_scale"
    pair("encoder.prenet_norm", f"{_AUDIO}context_encoder.norm")
    stacks = (
        ("encoder.prenet", f"{_AUDIO}context_encoder.blocks", config.prenet_depth),
        ("encoder.blocks", "blocks", config.depth),
    )
    for ours, theirs, depth in stacks:
        for i in range(depth):
            for part, funasr_part in (
                ("norm1", "norm1"), ("norm2", "norm2"), ("attn.qkv", "attn.qkv"),
                ("attn.proj", "attn.proj"), ("fc1", "mlp.fc1"), ("fc2", "mlp.fc2"),
            ):  # fmt: skip
                pair(f"{ours}.{i}.{part}", f"{theirs}.{i}.{funasr_part}")
    pair("encoder.norm", "norm")
    pair("encoder.head", "proj")
    return names
