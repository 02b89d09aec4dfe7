"""The part of a FunASR ``config.yaml`` that decides what an emotion2vec model computes.

Everything is read from the file; nothing about base or large is known here. What the file asks for
and this package does not support is refused by name, and nothing of it is ever executed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from emotion2vec_edge.engine.errors import CheckpointError, UnsupportedConfigError

from .conv_spec import CONV_SPEC, ConvLayer, parse_conv_spec

SAMPLE_RATE = 16_000
"""emotion2vec hears 16 kHz mono (``frontend_conf.fs``)."""


@dataclass(frozen=True)
class ModelConfig:
    """The architecture of one emotion2vec model, field names as in FunASR where it has one."""

    embed_dim: int
    num_heads: int
    mlp_ratio: float
    prenet_depth: int
    depth: int
    layer_norm_first: bool
    norm_eps: float
    norm_affine: bool
    normalize: bool
    """Whether the whole clip is brought to zero mean and unit variance first."""
    conv_layers: tuple[ConvLayer, ...]
    conv_pos_width: int
    conv_pos_depth: int
    conv_pos_groups: int
    conv_pos_pre_ln: bool
    num_extra_tokens: int
    use_alibi: bool
    num_alibi_heads: int
    alibi_scale_per_layer: bool
    alibi_scale_per_head: bool

    @property
    def mlp_dim(self) -> int:
        """Width of the hidden layer of each block's MLP."""
        return int(self.embed_dim * self.mlp_ratio)

    @property
    def conv_pos_kernel(self) -> int:
        """Kernel of each positional convolution, in frames."""
        return max(3, self.conv_pos_width // self.conv_pos_depth)

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        hop = 1
        for layer in self.conv_layers:
            hop *= layer.stride
        return hop

    @property
    def receptive_field(self) -> int:
        """Samples that one frame hears."""
        field, jump = 1, 1
        for layer in self.conv_layers:
            field += (layer.kernel - 1) * jump
            jump *= layer.stride
        return field

    @property
    def frontend_values(self) -> int:
        """Values a second of the widest layer of the front-end."""
        widest, rate = 0.0, float(SAMPLE_RATE)
        for layer in self.conv_layers:
            rate /= layer.stride
            widest = max(widest, layer.channels * rate)
        return round(widest)


def config_document(
    *,
    embed_dim: int,
    heads: int,
    prenet_depth: int,
    depth: int,
    mlp_ratio: float = 4.0,
    conv_spec: str = CONV_SPEC,
) -> dict[str, Any]:
    """A ``config.yaml`` as a document, with every field that FunASR wants."""
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


class _Section:
    """A mapping of the YAML file whose values are taken out by name and type."""

    def __init__(self, values: Any, name: str) -> None:
        if not isinstance(values, dict):
            raise CheckpointError(f"config.yaml: {name} should be a mapping, found {values!r}")
        self.values = values
        self.name = name

    def section(self, key: str) -> _Section:
        return _Section(self.values.get(key), f"{self.name}.{key}")

    def _get(self, key: str, default: Any) -> Any:
        value = self.values.get(key, default)
        if value is None:
            raise CheckpointError(f"config.yaml: {self.name}.{key} is missing")
        return value

    def integer(self, key: str, default: int | None = None, *, least: int = 1) -> int:
        value = self._get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise CheckpointError(
                f"config.yaml: {self.name}.{key} should be an integer of at least {least}, "
                f"found {value!r}"
            )
        return value

    def number(self, key: str, default: float | None = None) -> float:
        value = self._get(key, default)
        try:  # YAML 1.1 reads 1e-05, without a dot, as a string, and published configs hold it
            return float(value)
        except (TypeError, ValueError):
            raise CheckpointError(
                f"config.yaml: {self.name}.{key} should be a number, found {value!r}"
            ) from None

    def boolean(self, key: str, default: bool | None = None) -> bool:
        value = self._get(key, default)
        if not isinstance(value, bool):
            raise CheckpointError(
                f"config.yaml: {self.name}.{key} should be true or false, found {value!r}"
            )
        return value

    def refuse_unless(self, key: str, supported: Any) -> None:
        value = self.values.get(key, supported)
        if value != supported:
            raise UnsupportedConfigError(
                f"config.yaml: {self.name}.{key} = {value!r} is not supported, only {supported!r}"
            )


def read_config(document: Any) -> ModelConfig:
    """Turn a parsed ``config.yaml`` into a :class:`ModelConfig`.

    Raises:
        CheckpointError: a field is missing or of the wrong kind.
        UnsupportedConfigError: a field asks for what is not supported.
    """
    root = _Section(document, "config")
    if root.values.get("model") != "Emotion2vec":
        raise UnsupportedConfigError(
            f"config.yaml: model is {root.values.get('model')!r}; only 'Emotion2vec' is known"
        )
    model = root.section("model_conf")
    audio = model.section("modalities").section("audio")
    if isinstance(root.values.get("frontend_conf"), dict):
        root.section("frontend_conf").refuse_unless("fs", SAMPLE_RATE)
    audio.refuse_unless("type", "AUDIO")
    audio.refuse_unless("extractor_mode", "layer_norm")
    # FunASR's own learned_alibi path raises a TypeError, so no checkpoint with it can exist.
    audio.refuse_unless("learned_alibi", supported=False)

    spec = audio.values.get("feature_encoder_spec")
    if not isinstance(spec, str):
        raise CheckpointError(
            f"config.yaml: {audio.name}.feature_encoder_spec should be text, found {spec!r}"
        )
    num_heads = model.integer("num_heads")
    config = ModelConfig(
        embed_dim=model.integer("embed_dim"),
        num_heads=num_heads,
        mlp_ratio=model.number("mlp_ratio"),
        prenet_depth=audio.integer("prenet_depth", least=0),
        depth=model.integer("depth", least=0),
        layer_norm_first=model.boolean("layer_norm_first"),
        norm_eps=model.number("norm_eps"),
        norm_affine=model.boolean("norm_affine"),
        normalize=model.boolean("normalize"),
        conv_layers=parse_conv_spec(spec),
        conv_pos_width=audio.integer("conv_pos_width"),
        conv_pos_depth=audio.integer("conv_pos_depth"),
        conv_pos_groups=audio.integer("conv_pos_groups"),
        conv_pos_pre_ln=audio.boolean("conv_pos_pre_ln", default=False),
        num_extra_tokens=audio.integer("num_extra_tokens", least=0),
        use_alibi=audio.boolean("use_alibi_encoder"),
        num_alibi_heads=audio.integer("num_alibi_heads", num_heads),
        alibi_scale_per_layer=audio.boolean("learned_alibi_scale_per_layer", default=False),
        alibi_scale_per_head=audio.boolean("learned_alibi_scale_per_head", default=False),
    )
    for divisor in ("num_heads", "conv_pos_groups"):
        if config.embed_dim % getattr(config, divisor):
            raise CheckpointError(
                f"config.yaml: embed_dim {config.embed_dim} is not a multiple of "
                f"{divisor} {getattr(config, divisor)}"
            )
    if config.num_alibi_heads > config.num_heads:
        raise CheckpointError(
            f"config.yaml: num_alibi_heads {config.num_alibi_heads} is more than "
            f"num_heads {config.num_heads}"
        )
    return config
