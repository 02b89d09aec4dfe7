"""emotion2vec models as teachers."""

import numpy as np
import pytest
import torch
from checkpoints import document, write_checkpoint

from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.export.distill.teachers.emotion2vec import BundleTeacher, CheckpointTeacher

CPU = torch.device("cpu")
LENGTHS = (16_000, 8_000)


@pytest.fixture(scope="module")
def waves():
    torch.manual_seed(0)
    return torch.randn(2, 16_000)


def answers(teacher, waves):
    """Logits from the mean rows of both clips."""
    with torch.no_grad():
        rows = teacher.rows(waves, torch.tensor(LENGTHS))
        counts = [(length - 400) // 320 + 1 for length in LENGTHS]
        means = [part[:count].mean(dim=0) for part, count in zip(rows, counts, strict=True)]
        return rows, teacher.answers(torch.stack(means))


def test_a_checkpoint_gives_its_frames_and_the_answers_of_its_head(checkpoint, waves):
    teacher = CheckpointTeacher(checkpoint.folder, "tiny", CPU)
    rows, logits = answers(teacher, waves)
    with torch.no_grad():
        frames, _, _, probabilities = teacher.model(waves, torch.tensor(LENGTHS))
    torch.testing.assert_close(teacher.taught(rows)[:, :, 0], frames)
    torch.testing.assert_close(logits.softmax(dim=-1), probabilities)
    assert [label.id for label in teacher.labels] == ["angry", "disgusted", "happy", "unknown"]


def test_a_bundle_gives_what_the_engine_gives(exported, waves):
    teacher = BundleTeacher(exported, CPU)
    rows, logits = answers(teacher, waves)
    assert (teacher.dim, teacher.width, teacher.licence) == (32, 32 + 4, "test")
    recognizer = Recognizer.load(exported, precision="fp32")
    for wave, length, row, logit in zip(waves, LENGTHS, rows, logits, strict=True):
        encoding = recognizer.encode(wave[:length].numpy(), 16_000, frames=True)
        taught = teacher.taught(row)[: len(encoding.frames), 0]
        np.testing.assert_allclose(taught, encoding.frames, atol=1e-5)
        scores = encoding.utterance().scores
        np.testing.assert_allclose(logit.softmax(dim=-1), list(scores.values()), atol=1e-5)


def test_other_frames_are_refused(tmp_path):
    write_checkpoint(tmp_path, document(feature_encoder_spec="[(32, 240, 160)]"))
    with pytest.raises(OptionError, match=r"tiny: a frame of 240 samples every 160 samples.*50 a"):
        CheckpointTeacher(tmp_path, "tiny", CPU)
