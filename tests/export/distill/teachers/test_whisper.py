"""A Whisper encoder as a teacher."""

import json

import pytest
import torch
from whispers import write_whisper

from emotion2vec_edge.engine.errors import CheckpointError, OptionError
from emotion2vec_edge.export.distill.teachers.base import FRAMES
from emotion2vec_edge.export.distill.teachers.whisper import (
    Tuning,
    WhisperModel,
    load_whisper,
    save_tuned,
)

CPU = torch.device("cpu")


def heard(teacher, *waves):
    """Rows of clips that are heard as one batch, without those of the padding."""
    lengths = torch.tensor([len(wave) for wave in waves])
    batch = torch.nn.utils.rnn.pad_sequence(waves, batch_first=True, padding_value=9.0)
    with torch.no_grad():
        rows = teacher.rows(batch, lengths)
    return [part[: FRAMES.frame_count(n)] for part, n in zip(rows, lengths.tolist(), strict=True)]


def test_a_batch_equals_its_members_alone(whisper):
    torch.manual_seed(1)
    waves = [torch.randn(16_000), torch.randn(5_000), torch.randn(12_345)]
    together = heard(whisper, *waves)
    for wave, rows in zip(waves, together, strict=True):
        (alone,) = heard(whisper, wave)
        assert rows.shape == (FRAMES.frame_count(len(wave)), 2 * 32)
        torch.testing.assert_close(rows, alone, atol=2e-5, rtol=0)


def test_the_level_does_not_matter_and_each_layer_is_normalised(whisper):
    wave = torch.sin(torch.arange(8_000) * 0.3)
    loud, quiet = heard(whisper, wave)[0], heard(whisper, 0.01 * wave)[0]
    torch.testing.assert_close(loud, quiet, atol=1e-4, rtol=0)
    layers = whisper.taught(loud)
    assert layers.shape[1:] == (2, 32)
    torch.testing.assert_close(
        layers.mean(dim=-1), torch.zeros(layers.shape[:2]), atol=1e-5, rtol=0
    )


def test_frames_lie_where_those_of_emotion2vec_do(whisper):
    """A click inside the receptive field of frame 20 changes that frame most."""
    torch.manual_seed(0)
    wave = 0.1 * torch.randn(16_000)
    clicked = wave.clone()
    centre = 20 * FRAMES.hop + FRAMES.receptive_field // 2
    clicked[centre - 20 : centre + 20] += 0.2
    before, after = heard(whisper, wave)[0], heard(whisper, clicked)[0]
    change = whisper.taught(after - before)[:, 0].norm(dim=-1)
    assert change.argmax() == 20


def test_a_decoder_is_left_out_and_the_later_half_is_taught(whisper):
    assert whisper.model.layers == (1, 2)
    assert whisper.licence == "MIT License"
    assert whisper.labels == ()


@pytest.mark.parametrize("layers", [(3,), (-1,), (1, 1), ()])
def test_layers_that_it_does_not_have(whisper_folder, layers):
    with pytest.raises(OptionError, match="different numbers from 0 to 2"):
        load_whisper(whisper_folder, "w", layers, CPU)


def test_other_layers_have_another_key(whisper_folder, whisper):
    other = load_whisper(whisper_folder, "w", (0, 2), CPU)
    assert other.sha256 == whisper.sha256
    assert other.key != whisper.key


def test_files_that_are_no_whisper(tmp_path):
    write_whisper(tmp_path / "bert", model_type="bert")
    with pytest.raises(CheckpointError, match="model_type is 'bert'"):
        load_whisper(tmp_path / "bert", "w", None, CPU)
    write_whisper(tmp_path / "wide", d_model=64)
    with pytest.raises(CheckpointError, match=r"is of shape .* asks for"):
        load_whisper(tmp_path / "wide", "w", None, CPU)
    write_whisper(tmp_path / "heads", encoder_attention_heads=3)
    with pytest.raises(CheckpointError, match="not a multiple"):
        load_whisper(tmp_path / "heads", "w", None, CPU)
    write_whisper(tmp_path / "deep", encoder_layers=3)
    with pytest.raises(CheckpointError, match="is missing"):
        load_whisper(tmp_path / "deep", "w", None, CPU)
    weights = write_whisper(tmp_path / "cut") / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="not readable as safetensors"):
        load_whisper(tmp_path / "cut", "w", None, CPU)
    weights.unlink()
    with pytest.raises(CheckpointError, match="missing"):
        load_whisper(tmp_path / "cut", "w", None, CPU)


def test_a_tuned_teacher_comes_back_with_its_head(whisper_folder, tmp_path):
    torch.manual_seed(0)
    model = WhisperModel(
        load_whisper(whisper_folder, "w", None, CPU).model.encoder.config, (0, 2), 3
    )
    save_tuned(tmp_path, model, Tuning(("angry", "happy", "<unk>"), (0, 2), "abc"), whisper_folder)
    tuned = load_whisper(tmp_path, "tuned", None, CPU)
    assert [label.id for label in tuned.labels] == ["angry", "happy", "unknown"]
    assert (tuned.model.layers, tuned.licence) == ((0, 2), "MIT License")
    wave, length = torch.randn(1, 9_000), torch.tensor([9_000])
    with torch.no_grad():
        mean = tuned.rows(wave, length).mean(dim=1)
        torch.testing.assert_close(tuned.answers(mean), model.eval()(wave, length))
    with pytest.raises(OptionError, match="tuned with layers 0, 2"):
        load_whisper(tmp_path, "tuned", (1, 2), CPU)
    config = json.loads((tmp_path / "config.json").read_text())
    config["emotion"]["layers"] = "0,9"
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(OptionError, match="from 0 to 2"):
        load_whisper(tmp_path, "tuned", None, CPU)
