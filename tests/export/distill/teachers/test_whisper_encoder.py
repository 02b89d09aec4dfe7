"""The encoder of Whisper against torch's own transformer and librosa's filters."""

import pytest
import torch
from whispers import CONFIG

from emotion2vec_edge.export.distill.teachers.whisper_encoder import (
    EncoderLayer,
    LogMelSpectrum,
    mel_filters,
)


@pytest.mark.parametrize("bands", [80, 128])
def test_filters_are_those_of_librosa(bands):
    filters = pytest.importorskip("librosa.filters", reason="SKIPPED LOUDLY: no librosa")
    expected = filters.mel(sr=16_000, n_fft=400, n_mels=bands)
    torch.testing.assert_close(mel_filters(bands), torch.from_numpy(expected), atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_a_layer_is_a_pre_norm_transformer_layer(training):
    torch.manual_seed(0)
    ours = EncoderLayer(CONFIG).train(training)
    theirs = torch.nn.TransformerEncoderLayer(
        32, 2, 64, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    attention = ours.self_attn
    zeros = torch.zeros(32)
    projections = (attention.q_proj, attention.k_proj, attention.v_proj)
    weights = {
        "self_attn.in_proj_weight": torch.cat([p.weight for p in projections]),
        "self_attn.in_proj_bias": torch.cat([attention.q_proj.bias, zeros, attention.v_proj.bias]),
        "self_attn.out_proj.weight": attention.out_proj.weight,
        "self_attn.out_proj.bias": attention.out_proj.bias,
        "linear1.weight": ours.fc1.weight, "linear1.bias": ours.fc1.bias,
        "linear2.weight": ours.fc2.weight, "linear2.bias": ours.fc2.bias,
        "norm1.weight": ours.self_attn_layer_norm.weight,
        "norm1.bias": ours.self_attn_layer_norm.bias,
        "norm2.weight": ours.final_layer_norm.weight, "norm2.bias": ours.final_layer_norm.bias,
    }  # fmt: skip
    theirs.load_state_dict(weights)
    x = torch.randn(2, 7, 32)
    valid = torch.arange(7)[None] < torch.tensor([[7], [4]])
    expected = theirs(x, src_key_padding_mask=~valid)
    found = ours(x, valid[:, None, None, :])
    torch.testing.assert_close(found[valid], expected[valid], atol=1e-5, rtol=1e-5)


def test_silence_gives_a_finite_spectrum():
    spectrum = LogMelSpectrum(80)(torch.zeros(1, 3_200))
    assert spectrum.shape == (1, 80, 20)
    torch.testing.assert_close(spectrum, torch.full((1, 80, 20), -1.5))
