"""Whisper encoders with seeded random weights, written as the published ones are."""

import json

import torch
from safetensors.torch import save_file

from emotion2vec_edge.export.distill.teachers.whisper_encoder import WhisperConfig, WhisperEncoder

CONFIG = WhisperConfig(
    d_model=32, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=64, num_mel_bins=80,
    max_source_positions=1500,
)  # fmt: skip


def write_whisper(folder, seed=0, **changes):
    """Write config.json, model.safetensors (with a part of a decoder) and LICENSE."""
    torch.manual_seed(seed)
    encoder = WhisperEncoder(CONFIG)
    weights = {f"model.encoder.{name}": value for name, value in encoder.state_dict().items()}
    weights["model.decoder.layers.0.encoder_attn.k_proj.weight"] = torch.zeros(2, 2)
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_type": "whisper", "activation_function": "gelu", **CONFIG.as_dict(), **changes}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(weights, folder / "model.safetensors")
    (folder / "LICENSE").write_text("MIT License\n\nCopyright")
    return folder
