"""Fine-tuning of a Whisper teacher."""

import contextlib
import dataclasses
import os
import signal

import pytest
import torch

from emotion2vec_edge.engine.corpora.labelled import read_corpus
from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.export.distill.recipe import TuningRecipe
from emotion2vec_edge.export.distill.teachers.whisper import CONFIG, WEIGHTS, load_whisper
from emotion2vec_edge.export.distill.tuning import TeacherLearner, tune, whisper_logits
from emotion2vec_edge.export.finetune.speech import load_speech, split_speech
from emotion2vec_edge.export.finetune.training.run import Run
from emotion2vec_edge.export.finetune.training.state import STATE

CPU = torch.device("cpu")
TOKENS = ("angry", "happy", "sad")
RECIPE = TuningRecipe(
    steps=4, batch_seconds=4.0, crop_seconds=(0.3, 0.5), warmup_steps=1, learning_rate=1e-3
)


@pytest.fixture(scope="module")
def speech(corpus):
    return split_speech(load_speech(read_corpus(corpus, "train"), TOKENS), 0.25)


def tuned(whisper, folder, speech, recipe=RECIPE, tokens=TOKENS):
    return tune(whisper, folder, tokens, recipe, speech, CPU)


@contextlib.contextmanager
def stopped_at(monkeypatch, step):
    """Ctrl-C during a step of every training."""
    losses = Run._losses

    def interrupted(run, batch):
        if run.step == step:
            os.kill(os.getpid(), signal.SIGINT)
        return losses(run, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "_losses", interrupted)
        yield


def test_a_tuning_that_was_stopped_goes_on_to_the_same_bits(whisper, speech, tmp_path, monkeypatch):
    tuned(whisper, tmp_path / "whole", speech)
    with stopped_at(monkeypatch, 2), pytest.raises(KeyboardInterrupt):
        tuned(whisper, tmp_path / "parts", speech)
    assert not (tmp_path / "parts" / CONFIG).exists()
    longer = dataclasses.replace(RECIPE, steps=5)
    with pytest.raises(OptionError, match="another steps"):
        tuned(whisper, tmp_path / "parts", speech, longer)
    tuned(whisper, tmp_path / "parts", speech)
    whole, parts = ((tmp_path / name / WEIGHTS).read_bytes() for name in ("whole", "parts"))
    assert whole == parts
    assert not (tmp_path / "parts" / STATE).exists()


def test_a_tuned_teacher_is_taken_as_it_is(whisper, whisper_folder, speech, tmp_path, monkeypatch):
    first = tuned(whisper, tmp_path / "t", speech)
    assert first.licence == "MIT License"
    assert [label.id for label in first.labels] == list(TOKENS)
    monkeypatch.setattr(Run, "train", None)
    assert tuned(whisper, tmp_path / "t", speech).sha256 == first.sha256
    other = load_whisper(whisper_folder, "w", (0, 2), CPU)
    with pytest.raises(OptionError, match="holds another tuned teacher; remove it"):
        tuned(other, tmp_path / "t", speech)


@pytest.mark.slow
def test_a_teacher_learns(whisper, speech, tmp_path):
    recipe = dataclasses.replace(RECIPE, steps=60, average_decay=0.9, learning_rate=2e-3)
    teacher = tuned(whisper, tmp_path / "t", speech, recipe)
    found = whisper_logits(teacher.model, speech[0]).argmax(axis=1)
    assert (found == speech[0].labels).mean() > 0.7


def test_lower_layers_take_smaller_steps(whisper):
    groups = TeacherLearner(whisper.model, TuningRecipe()).parameter_groups(0.1)
    scales = sorted(group.scale for group in groups)
    assert scales == [0.75**2, 0.75, 1.0, 1.0, 15.0]
    learned = {id(p) for group in groups for p in group.params}
    assert id(whisper.model.encoder.embed_positions.weight) not in learned


def test_a_folder_of_something_else_is_left_alone(whisper, speech, tmp_path):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "thesis.txt").write_text("irreplaceable")
    with pytest.raises(OptionError, match="holds no teacher, which is to be kept there; move it"):
        tuned(whisper, tmp_path / "t", speech)
    assert [path.name for path in (tmp_path / "t").iterdir()] == ["thesis.txt"]
