"""Batches for a student."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from emotion2vec_edge.engine.corpora.labelled import LabelledClip
from emotion2vec_edge.export.distill.lessons import batches as making
from emotion2vec_edge.export.distill.lessons.batches import (
    DistillationBatches,
    answers_of,
    draw_weights,
    labels_of_corpora,
)
from emotion2vec_edge.export.distill.lessons.cache import ClipAtSpeed, RowCache, checksum
from emotion2vec_edge.export.distill.lessons.crops import CachedCrops, Lesson, LiveCrops
from emotion2vec_edge.export.distill.lessons.listening import listen, means_of
from emotion2vec_edge.export.distill.recipe import DistillationRecipe
from emotion2vec_edge.export.distill.teachers.base import FRAMES, Teacher
from emotion2vec_edge.export.finetune.speech import Speech
from emotion2vec_edge.export.finetune.training.augmentation import Augmentation

CPU = torch.device("cpu")
QUIET = Augmentation((1, 1), 0, 0, 0, 0, 0, 0, (10, 10), 0, 0)


class Ear(Teacher):
    """A teacher whose rows are the sample in the middle of each frame, and the level there."""

    name, sha256, licence, layers, dim = "ear", "0", None, 1, 2

    def __init__(self, labels=()):
        self.labels = labels

    def rows(self, waves, lengths):
        fields = waves.unfold(1, FRAMES.receptive_field, FRAMES.hop)
        return torch.stack([fields[..., 200], fields.square().mean(dim=-1).sqrt()], dim=-1)

    def answers(self, means):
        return means


def speech_of(waves, labels=None, corpora=None):
    corpora = corpora or ["c"] * len(waves)
    clips = tuple(LabelledClip(Path(f"{i}.wav"), None, c) for i, c in enumerate(corpora))
    return Speech(clips, tuple(waves), np.array(labels or [0] * len(waves)))


def batches_of(waves, folder, labels=None, **changes):
    """Batches of a few clips without augmentation."""
    speech, ear = speech_of(waves, labels), Ear()
    recipe = DistillationRecipe(
        batch_seconds=4.0, crop_seconds=(0.3, 0.5), augmentation=QUIET, **changes
    )
    checksums = [checksum(wave) for wave in waves]
    cache = RowCache(folder, ear)
    wanted = {
        ClipAtSpeed(name, speed): wave
        for speed in recipe.speeds
        for name, wave in zip(checksums, waves, strict=True)
    }
    listen(ear, cache, wanted, CPU)
    source = CachedCrops(speech, checksums, [Lesson(ear, cache)], recipe, CPU)
    return DistillationBatches(speech, source, recipe, 3, CPU)


def live_batches_of(waves, labels=None, **changes):
    """Batches whose crops the teacher hears as they are made, without augmentation."""
    speech = speech_of(waves, labels)
    recipe = DistillationRecipe(
        batch_seconds=4.0, crop_seconds=(0.3, 0.5),
        augmentation=dataclasses.replace(QUIET, speed=(0.8, 1.25)), **changes,
    )  # fmt: skip
    return DistillationBatches(speech, LiveCrops(speech, [Ear()], recipe, CPU), recipe, 3, CPU)


@pytest.fixture
def smooth():
    """Slow sweeps: a sample of one differs little from that of the next."""
    time = np.arange(16_000) / 16_000
    return [
        (20_000 * np.sin(2 * np.pi * (f + 20 * time) * time)).astype(np.int16) for f in (40, 55)
    ]


@pytest.mark.parametrize("speed", [0.9, 1.0, 1.12])
def test_rows_belong_to_the_sound_of_the_crop(smooth, tmp_path, speed):
    batches = batches_of(smooth, tmp_path, speeds=(speed,))
    for step in range(4):
        rng = np.random.default_rng(step)
        crop = batches.source.crop(step % 2, 15, rng)
        assert len(crop.rows[0]) == FRAMES.frame_count(len(crop.wave))
        heard = Ear().rows(torch.from_numpy(crop.wave)[None], None)[0]
        np.testing.assert_allclose(crop.rows[0], heard, atol=0.02)
    assert np.abs(crop.rows[0]).max() > 0.3


def test_a_step_gives_one_batch(smooth, tmp_path):
    batches = batches_of(smooth, tmp_path, labels=[1, -1])
    first, again = batches[3], batches[3]
    torch.testing.assert_close(again.waves, first.waves, rtol=0, atol=0)
    torch.testing.assert_close(again.taught[0], first.taught[0], rtol=0, atol=0)
    assert first.taught[0].shape[1:] == (FRAMES.frame_count(first.waves.shape[1]), 1, 2)
    assert first.answers is None
    assert 0 < first.labelled.sum() < len(first.labelled)
    assert (first.targets.argmax(dim=1)[first.labelled] == 1).all()
    assert (first.targets[~first.labelled] == 0).all()


def test_a_clip_shorter_than_a_crop_is_whole(smooth, tmp_path):
    batches = batches_of([smooth[0][:4_000], smooth[1]], tmp_path)
    crop = batches.source.crop(0, 40, np.random.default_rng(0))
    assert len(crop.rows[0]) == FRAMES.frame_count(len(crop.wave)) <= FRAMES.frame_count(4_500)


@pytest.mark.parametrize("moved_share", [0.0, 1.0])
@pytest.mark.parametrize("mixed_share", [0.0, 1.0])
def test_a_live_teacher_hears_what_the_student_hears(smooth, mixed_share, moved_share):
    batches = live_batches_of(smooth, mixed_share=mixed_share, moved_share=moved_share)
    crops = batches.source.crops(np.array([0, 1, 1]), 15, np.random.default_rng(0))
    assert crops.frames == (15, 15, 15)
    assert crops.mixed.all() == crops.mixed.any() == bool(mixed_share)
    for wave, rows in zip(crops.waves, crops.rows()[0], strict=True):
        heard = Ear().rows(torch.from_numpy(wave)[None], None)[0]
        np.testing.assert_allclose(rows, heard, atol=1e-6)


@pytest.mark.parametrize("threads", [1, 3])
def test_batches_made_ahead_are_the_same(smooth, monkeypatch, threads):
    plain = live_batches_of(smooth)
    monkeypatch.setattr(making, "spare_threads", lambda _: threads)
    ahead = live_batches_of(smooth)
    for step in (0, 1, 2, 5, 3):
        wanted, found = plain[step], ahead[step]
        assert torch.equal(wanted.waves, found.waves), step
        assert torch.equal(wanted.taught[0], found.taught[0])
        assert torch.equal(wanted.targets, found.targets)
        dropout = torch.rand(3)
        plain[step]
        assert torch.equal(torch.rand(3), dropout)  # seeded by the step, not by those made ahead


def test_two_clips_in_one_have_no_label(smooth):
    batch = live_batches_of(smooth, labels=[1, 2], mixed_share=0.5)[0]
    assert 0 < batch.labelled.sum() < len(batch.labelled)
    assert (batch.targets[~batch.labelled] == 0).all()
    again = live_batches_of(smooth, labels=[1, 2], mixed_share=0.5)[0]
    torch.testing.assert_close(again.taught[0], batch.taught[0], rtol=0, atol=0)


def test_live_crops_of_short_clips_differ_in_length():
    waves = [np.full(size, 9_000, np.int16) for size in (300, 3_300, 16_000)]
    source = live_batches_of(waves, mixed_share=0.0).source
    crops = source.crops(np.array([0, 1, 2]), 20, np.random.default_rng(1))
    assert crops.frames[0] == 1 < crops.frames[1] < crops.frames[2] == 20
    for rows, frames in zip(crops.rows()[0], crops.frames, strict=True):
        assert (rows[frames:] == 0).all()
        assert rows[:frames].any()


def test_means_of_whole_clips(smooth):
    waves = [smooth[0][:4_321], smooth[1], smooth[0]]
    for mean, wave in zip(means_of(Ear(), waves, CPU), waves, strict=True):
        sound = torch.from_numpy((wave / 32768).astype(np.float32))
        np.testing.assert_allclose(mean, Ear().rows(sound[None], None)[0].mean(dim=0), atol=1e-4)


def test_the_share_of_clips_without_a_label():
    waves = [np.zeros(size, np.int16) for size in (10, 10, 30, 10)]
    weights = draw_weights(speech_of(waves, [0, 1, -1, -1]), 0.4, 0.3)
    np.testing.assert_allclose(weights, [0.3, 0.3, 0.3, 0.1])
    np.testing.assert_allclose(draw_weights(speech_of(waves, [0, 1, 0, 1]), 0.4, 0.3).sum(), 1)
    alone = draw_weights(speech_of(waves, [-1] * 4), 0.4, 0.3)
    np.testing.assert_allclose(alone, [1 / 6, 1 / 6, 1 / 2, 1 / 6])


def test_the_labels_of_each_corpus():
    waves = [np.zeros(10, np.int16)] * 4
    allowed = labels_of_corpora(speech_of(waves, [0, 2, 1, -1], ["a", "a", "b", "u"]), 3)
    assert allowed.tolist() == [[1, 0, 1], [1, 0, 1], [0, 1, 0], [0, 0, 0]]


def test_teachers_answer_together():
    labels = ("x", "y")
    first, second = torch.tensor([[4.0, 0.0]]), torch.tensor([[0.0, 4.0]])
    teachers = [Ear(labels), Ear(), Ear(labels)]
    answers = answers_of(teachers, [first, torch.tensor([[9.0, 0.0]]), second])
    assert answers[0, 0] == answers[0, 1]
    assert answers_of([Ear()], [first]) is None
