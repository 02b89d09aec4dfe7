"""Our torch module against FunASR's own, on every form of the architecture, and on real speech."""

import numpy as np
import pytest
import torch
from checkpoints import TOKENS, document, write_checkpoint
from oracle import funasr_answer, oracle

from emotion2vec_edge.engine import Recognizer, load_audio
from emotion2vec_edge.export.checkpoint.folder import load_checkpoint
from emotion2vec_edge.export.model.alibi import alibi_slopes
from emotion2vec_edge.export.model.padding import normalized

FORMS = {
    "base": {},
    "pre-norm": {"layer_norm_first": True},
    "alibi scale per layer": {"learned_alibi_scale_per_layer": True},
    "one alibi scale": {"learned_alibi_scale_per_head": False},
    "per layer, pre-norm": {"learned_alibi_scale_per_layer": True, "layer_norm_first": True},
    "fewer alibi heads": {"num_alibi_heads": 2},
    "heads no power of two": {"num_heads": 6, "num_alibi_heads": 6, "embed_dim": 36},
    "no alibi": {"use_alibi_encoder": False},
    "no extra tokens": {"num_extra_tokens": 0},
    "one extra token": {"num_extra_tokens": 1},
    "even positional kernel": {"conv_pos_width": 20},
    "narrow positional kernel": {"conv_pos_width": 5},
    "positional pre-norm": {"conv_pos_pre_ln": True},
    "plain block norms": {"norm_affine": False},
    "other epsilon": {"norm_eps": 1e-3},
    "not normalised": {"normalize": False},
    "no prenet": {"prenet_depth": 0},
    "no blocks": {"depth": 0, "model_depth": 0},
}


def our_answer(model, samples):
    """frames [frames, dim] and probabilities [labels]."""
    waveform = torch.from_numpy(samples)
    if model.config.normalize:
        waveform = normalized(waveform)
    with torch.inference_mode():
        features = model.frontend(waveform[None])
        frames, *logits = model.encoder(features, torch.tensor([features.shape[1]]))
    scores = logits[0][0].mean(dim=0).softmax(-1).numpy() if logits else None
    return frames[0].numpy(), scores


@pytest.mark.parametrize("name", FORMS)
def test_every_form_equals_funasr(funasr_model, tmp_path, example_samples, name):
    doc = document(**FORMS[name])
    weights = write_checkpoint(tmp_path, doc)
    theirs = oracle(funasr_model, doc, weights, TOKENS)
    ours = load_checkpoint(tmp_path).model
    for length in (400, 719, 31_234):
        samples = example_samples[8_000 : 8_000 + length]
        frames, scores = our_answer(ours, samples)
        expected = funasr_answer(theirs, samples, TOKENS)
        expected_frames = funasr_answer(theirs, samples, TOKENS, "frame")["feats"]
        np.testing.assert_allclose(frames, expected_frames, atol=2e-5)
        np.testing.assert_allclose(frames.mean(axis=0), expected["feats"], atol=2e-5)
        np.testing.assert_allclose(scores, expected["scores"], atol=1e-5)


def test_a_model_without_a_head_equals_funasr(funasr_model, tmp_path, example_samples):
    weights = write_checkpoint(tmp_path, tokens=[])
    theirs = oracle(funasr_model, document(), weights, [])
    checkpoint = load_checkpoint(tmp_path)
    assert checkpoint.labels == ()
    frames, scores = our_answer(checkpoint.model, example_samples)
    assert scores is None
    np.testing.assert_allclose(
        frames, funasr_answer(theirs, example_samples, [], "frame")["feats"], atol=2e-5
    )


def test_the_trained_model_equals_funasr_on_real_speech(
    funasr_model, small_checkpoint, test_clips, small_bundle
):
    import yaml

    recognizer = Recognizer.load(small_bundle, precision="fp32")

    doc = yaml.safe_load((small_checkpoint / "config.yaml").read_text())
    tokens = (small_checkpoint / "tokens.txt").read_text(encoding="utf-8").split()
    weights = torch.load(small_checkpoint / "model.pt", weights_only=True)["model"]
    theirs = oracle(funasr_model, doc, weights, tokens)
    ours = load_checkpoint(small_checkpoint).model
    for path in test_clips:
        samples = load_audio(path).samples
        expected = funasr_answer(theirs, samples, tokens)
        frames, scores = our_answer(ours, samples)
        np.testing.assert_allclose(
            frames, funasr_answer(theirs, samples, tokens, "frame")["feats"], atol=5e-5
        )
        np.testing.assert_allclose(scores, expected["scores"], atol=1e-5)
        # And the whole way: the exported bundle through the engine, from the file.
        utterance = recognizer.recognize(path)
        assert [tokens[i].split("/")[-1] for i in np.argsort(expected["scores"])[-1:]] == [
            utterance.emotion
        ]
        np.testing.assert_allclose(list(utterance.scores.values()), expected["scores"], atol=1e-5)
        np.testing.assert_allclose(utterance.embedding, expected["feats"], atol=5e-5)


def test_a_batch_equals_its_members_alone(tmp_path, example_samples):
    write_checkpoint(tmp_path)
    model = load_checkpoint(tmp_path).model
    clips = [
        normalized(torch.from_numpy(example_samples[:n].copy())) for n in (40_000, 401, 16_000)
    ]
    padded = torch.full((3, 40_000), 7.0)  # what lies beyond a clip must not matter
    for row, clip in zip(padded, clips, strict=True):
        row[: len(clip)] = clip
    lengths = torch.tensor([(len(clip) - 400) // 320 + 1 for clip in clips])
    with torch.inference_mode():
        frames, logits = model.encoder(model.frontend(padded), lengths)
        for row, clip in enumerate(clips):
            features = model.frontend(clip[None])
            alone = model.encoder(features, torch.tensor([features.shape[1]]))
            torch.testing.assert_close(frames[row, : lengths[row]], alone[0][0], atol=1e-5, rtol=0)
            torch.testing.assert_close(logits[row, : lengths[row]], alone[1][0], atol=1e-5, rtol=0)
            assert not frames[row, lengths[row] :].any()


def test_slopes_of_the_paper():
    assert alibi_slopes(8) == pytest.approx([2**-i for i in range(1, 9)])
    assert len(alibi_slopes(12)) == 12
