"""A whole distillation, from a teacher and speech to a checkpoint."""

import contextlib
import csv
import dataclasses
import json
import os
import signal

import pytest
import torch
from checkpoints import document, write_checkpoint

from emotion2vec_edge.engine.corpora.labelled import read_corpus
from emotion2vec_edge.engine.errors import OptionError, ProviderError
from emotion2vec_edge.export.checkpoint.calibration import read_calibration
from emotion2vec_edge.export.checkpoint.folder import WEIGHTS, load_checkpoint
from emotion2vec_edge.export.distill.data import unlabelled_clips
from emotion2vec_edge.export.distill.distillation import distill
from emotion2vec_edge.export.distill.settings import DistillationSettings
from emotion2vec_edge.export.finetune.training.log import TrainingLog
from emotion2vec_edge.export.finetune.training.run import Run
from emotion2vec_edge.export.finetune.training.state import STATE

LABELS = ["angry", "happy", "sad"]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A checkpoint with the frames of emotion2vec."""
    folder = tmp_path_factory.mktemp("teachers") / "large"
    write_checkpoint(folder, tokens=LABELS)
    return folder


@pytest.fixture
def settings(tiny, tmp_path):
    """Makes settings of a few steps."""

    def make(*teachers, name="student", **changes):
        changes = {"steps": 6, "speeds": (1.0, 1.12), **changes}
        return DistillationSettings(
            tmp_path / name, tuple(map(str, teachers)), shape=str(tiny), batch_seconds=4.0,
            validation=0.25, cache=tmp_path / "cache", **changes,
        )  # fmt: skip

    return make


def recordings(corpus):
    """The same recordings without labels."""
    return unlabelled_clips([str(corpus.parent / "calls")])


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


@pytest.mark.slow
def test_a_distillation_that_was_stopped_goes_on_to_the_same_bits(
    corpus, teacher, settings, tmp_path, monkeypatch
):
    clips = read_corpus(corpus, "train") + recordings(corpus)
    whole = distill(settings(teacher, name="whole"), clips)
    with stopped_at(monkeypatch, 3), pytest.raises(KeyboardInterrupt):
        distill(settings(teacher, name="parts"), clips)
    assert (tmp_path / "parts" / STATE).exists()
    with pytest.raises(OptionError, match="of a run with another temperature"):
        distill(settings(teacher, name="parts", temperature=3.0), clips)
    wide = dataclasses.replace(
        settings(teacher, name="parts"), shape=write_config(tmp_path / "c.yaml", mlp_ratio=3.0)
    )
    with pytest.raises(OptionError, match="of a run with another shape"):
        distill(wide, clips)
    with pytest.raises(OptionError, match="of a run with another data"):
        distill(settings(teacher, name="parts"), clips[1:])
    parts = distill(settings(teacher, name="parts"), clips)
    weights = [load_checkpoint(tmp_path / name).model.state_dict() for name in ("whole", "parts")]
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=0, atol=0)
    assert parts == whole
    assert whole.labels_from == "both"
    assert whole.labelled_clips == 27
    assert not (tmp_path / "parts" / STATE).exists()
    card = (tmp_path / "whole" / "README.md").read_text()
    assert "teacher: large (final frames, sha256 " in card
    assert "54 clips" in card  # those of the held-out speaker are not heard without labels either
    parts_of_loss = TrainingLog(tmp_path / "whole").reports()[-1].parts
    assert parts_of_loss.keys() == {"frames", "mel", "answers", "labels"}


@pytest.mark.slow
def test_a_live_teacher_leaves_nothing_and_goes_on_to_the_same_bits(
    corpus, teacher, whisper_folder, settings, tmp_path, monkeypatch
):
    clips = read_corpus(corpus, "train") + recordings(corpus)
    live = {"live": True, "speeds": None, "steps": 4}
    whole = distill(settings(teacher, whisper_folder, name="whole", **live), clips)
    with stopped_at(monkeypatch, 2), pytest.raises(KeyboardInterrupt):
        distill(settings(teacher, whisper_folder, name="parts", **live), clips)
    with pytest.raises(OptionError, match="of a run with another .*speeds"):
        distill(settings(teacher, whisper_folder, name="parts", steps=4), clips)
    assert distill(settings(teacher, whisper_folder, name="parts", **live), clips) == whole
    weights = [load_checkpoint(tmp_path / name).model.state_dict() for name in ("whole", "parts")]
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=0, atol=0)
    assert whole.agreement is not None


def test_a_bundle_teaches_without_labels(corpus, exported, settings, tmp_path):
    evidence = distill(settings(exported, licence="CC0"), recordings(corpus))
    assert (evidence.labels_from, evidence.labelled_clips) == ("teacher", 0)
    assert 0 <= evidence.agreement <= 1
    student = load_checkpoint(tmp_path / "student")
    assert [label.id for label in student.labels] == ["angry", "disgusted", "happy", "unknown"]
    calibration, licence = read_calibration(tmp_path / "student")
    assert (calibration, licence) == (None, "CC0")
    card = (tmp_path / "student" / "README.md").read_text()
    assert "against the teacher's answers" in card
    assert "licence: test" in card


def test_whisper_is_tuned_once_and_then_teaches(
    corpus, whisper_folder, settings, tmp_path, monkeypatch
):
    clips = read_corpus(corpus, "train")
    made = settings(
        whisper_folder, tune_teacher=True, tune_steps=2, teacher_licence="MIT of OpenAI"
    )
    distill(made, clips)
    assert (tmp_path / "student.teacher" / "model.safetensors").is_file()
    card = (tmp_path / "student" / "README.md").read_text()
    assert "whisper, fine-tuned (layers 1, 2, sha256" in card
    assert "licence: MIT of OpenAI" in card
    again = settings(tmp_path / "student.teacher", name="again")
    assert distill(again, clips).labels_from == "both"
    with pytest.raises(OptionError, match="a single Whisper that was not tuned before"):
        distill(settings(tmp_path / "student.teacher", name="b", tune_teacher=True), clips)


def test_two_teachers(corpus, teacher, whisper_folder, settings, tmp_path):
    evidence = distill(settings(teacher, whisper_folder), read_corpus(corpus, "train"))
    assert len(evidence.teachers) == 2
    write_checkpoint(tmp_path / "other", tokens=["a", "b"])
    with pytest.raises(OptionError, match="large and other answer with different labels"):
        distill(settings(teacher, tmp_path / "other", name="b"), read_corpus(corpus, "train"))


@pytest.mark.slow
def test_a_student_comes_to_hear_as_its_teacher(corpus, teacher, settings):
    changes = {"steps": 101, "learning_rate": 5e-3, "speeds": (1.0,)}
    made = settings(teacher, labels_from="teacher", **changes)
    distill(made, read_corpus(corpus, "train"))
    reports = TrainingLog(made.output).reports()
    assert reports[-1].parts["frames"] < 0.9 * reports[0].parts["frames"]


def test_emotions_from_nowhere(corpus, whisper_folder, teacher, settings):
    labelled, unlabelled = read_corpus(corpus, "train"), recordings(corpus)
    for made, clips, message in (
        (settings(whisper_folder), unlabelled, "neither does the teacher give answers nor has"),
        (settings(whisper_folder, labels_from="both"), labelled, "the teacher gives no answers"),
        (settings(teacher, labels_from="data"), unlabelled, "no clip has a label"),
        (settings(whisper_folder, tune_teacher=True), unlabelled, "needs labelled speech"),
    ):
        with pytest.raises(OptionError, match=message):
            distill(made, clips)
        assert not made.output.exists()


def test_labels_that_the_teacher_does_not_have(corpus, teacher, settings, tmp_path):
    clips = read_corpus(corpus, "train")
    write_checkpoint(tmp_path / "narrow", tokens=["angry", "happy"])
    with pytest.raises(OptionError, match="labels that the model does not have"):
        distill(settings(tmp_path / "narrow"), clips)
    told = []
    made = settings(tmp_path / "narrow", labels_from="teacher")
    assert distill(made, clips, tell=told.append).labelled_clips == 0
    assert "the teacher has no label sad: the labels of the data are not used" in told[0]


def test_what_cannot_be_used(corpus, teacher, settings, tmp_path):
    clips = read_corpus(corpus, "train")
    other = write_config(tmp_path / "c.yaml", feature_encoder_spec="[(32, 240, 160)]")
    with pytest.raises(OptionError, match=r"c\.yaml: a frame of 240 samples"):
        distill(
            DistillationSettings(
                tmp_path / "s", (str(teacher),), shape=other, validation=0.25,
                cache=tmp_path / "cache", steps=2,
            ),
            clips,
        )  # fmt: skip
    with pytest.raises(OptionError, match="no recording can be learned from"):
        distill(settings(teacher), [])
    (tmp_path / "student").mkdir()
    (tmp_path / "student" / WEIGHTS).write_bytes(b"precious")
    with pytest.raises(OptionError, match="exists already"):
        distill(settings(teacher), clips)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there(corpus, teacher, settings):
    with pytest.raises(ProviderError, match="torch finds no CUDA device"):
        distill(settings(teacher, device="cuda"), read_corpus(corpus, "train"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="SKIPPED LOUDLY: no CUDA device")
def test_everything_runs_on_a_gpu(corpus, whisper_folder, settings, tmp_path):
    clips = read_corpus(corpus, "train") + recordings(corpus)
    made = settings(whisper_folder, tune_teacher=True, tune_steps=3, steps=12, device="cuda")
    evidence = distill(made, clips)
    assert evidence.labels_from == "both"
    values = load_checkpoint(tmp_path / "student").model.state_dict().values()
    assert all(value.isfinite().all() for value in values)


def test_recordings_that_cannot_be_read_are_left_out(corpus, teacher, settings, tmp_path):
    (tmp_path / "text.wav").write_text("text")
    lines = []
    clips = recordings(corpus) + unlabelled_clips([str(tmp_path / "text.wav")])
    distill(settings(teacher), clips, tell=lines.append)
    assert any("these recordings cannot be learned from" in line for line in lines)
    assert any("text.wav" in line for line in lines)
    manifest = tmp_path / "bad.csv"
    with corpus.open() as file:
        rows = list(csv.reader(file))
    rows = [rows[0], *([str(corpus.parent / row[0]), *row[1:]] for row in rows[1:])]
    with manifest.open("w", newline="") as file:
        csv.writer(file).writerows([*rows, [str(tmp_path / "text.wav"), "sad", "s9", "train"]])
    with pytest.raises(OptionError, match=r"cannot be learned from:\n .*text\.wav"):
        distill(settings(teacher, name="b"), read_corpus(manifest, "train"))


def write_config(path, **changes):
    path.write_text(json.dumps(document(**changes)))
    return str(path)
