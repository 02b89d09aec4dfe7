"""Losses of a student."""

import dataclasses

import pytest
import torch

from emotion2vec_edge.export.distill.lessons.batches import DistillationBatch
from emotion2vec_edge.export.distill.recipe import DistillationRecipe
from emotion2vec_edge.export.distill.students.learner import (
    Student,
    divergence,
    label_loss,
    soft_answers,
)
from emotion2vec_edge.export.finetune.training.initialization import new_document, new_model

RECIPE = DistillationRecipe()


def batch_of(answers=None, share=None, allowed=None, labelled=None):
    """Two clips with the labels 0 and 1 of 3, each the partner of the other."""
    labelled = torch.tensor([True, True]) if labelled is None else labelled
    return DistillationBatch(
        torch.zeros(2, 400), torch.tensor([400, 400]), (torch.zeros(2, 1, 1, 4),), answers,
        torch.eye(3)[:2] * labelled[:, None], labelled,
        torch.ones(2, 3, dtype=torch.bool) if allowed is None else allowed,
        torch.tensor([1, 0]), torch.zeros(2) if share is None else share,
    )  # fmt: skip


def test_the_right_answers_cost_least():
    batch = batch_of(answers=torch.tensor([[4.0, 0.0, 0.0], [0.0, 4.0, 0.0]]))
    wanted = soft_answers(batch, 2.0)
    assert divergence(batch.answers, wanted, 2.0).abs() < 1e-6
    assert divergence(batch.answers.flip(0), wanted, 2.0) > 1


def test_a_clip_that_is_mixed_in_has_its_share_of_the_answer():
    batch = batch_of(
        answers=torch.tensor([[9.0, -9.0, -9.0], [-9.0, 9.0, -9.0]]), share=torch.tensor([0.25, 0])
    )
    torch.testing.assert_close(
        soft_answers(batch, 1.0), torch.tensor([[0.75, 0.25, 0], [0, 1, 0]]), atol=1e-3, rtol=0
    )


def test_labels_that_a_corpus_lacks_cost_less_than_wrong_ones_of_its_own():
    """The second part of the loss does not know them."""
    allowed = torch.tensor([[True, True, False]] * 2)
    batch = batch_of(allowed=allowed, labelled=torch.tensor([True, False]))
    foreign = label_loss(torch.tensor([[0.0, 0.0, 5.0]] * 2), batch, 0.0, RECIPE)
    own = label_loss(torch.tensor([[0.0, 5.0, 0.0]] * 2), batch, 0.0, RECIPE)
    assert foreign.isfinite()
    assert foreign < own


def test_clips_without_a_label_cost_nothing():
    logits = torch.randn(2, 3)
    one = label_loss(logits, batch_of(labelled=torch.tensor([True, False])), 0.1, RECIPE)
    changed = logits.clone()
    changed[1] += 5
    other = label_loss(changed, batch_of(labelled=torch.tensor([True, False])), 0.1, RECIPE)
    torch.testing.assert_close(one, other)


def test_a_partner_without_a_label_is_noise():
    labelled, share = torch.tensor([True, False]), torch.tensor([0.4, 0.4])
    logits = torch.randn(2, 3)
    mixed = label_loss(logits, batch_of(labelled=labelled, share=share), 0.0, RECIPE)
    alone = label_loss(logits, batch_of(labelled=labelled), 0.0, RECIPE)
    torch.testing.assert_close(mixed, alone)


@pytest.mark.parametrize("step", [0, 9])
def test_losses_follow_the_device(tiny, whisper, step):
    """On the device ``meta`` a tensor that was made elsewhere cannot be used."""
    model = new_model(new_document(str(tiny)), 3, 0)
    recipe = DistillationRecipe(frontend_steps=1, labels_weight=0.0)
    student = Student(model, 3, recipe, [whisper]).to("meta")
    batch = batch_of(answers=torch.zeros(2, 3))
    batch = dataclasses.replace(
        batch, waves=torch.zeros(2, 4_000), taught=(torch.zeros(2, 12, 2, 32),)
    )
    moved = {
        field.name: tuple(part.to("meta") for part in value)
        if isinstance(value, tuple)
        else value.to("meta")
        for field in dataclasses.fields(batch)
        for value in [getattr(batch, field.name)]
    }
    losses = student.losses(DistillationBatch(**moved), step)
    assert {part.device.type for part in [losses.total, *losses.parts.values()]} == {"meta"}
    losses.total.backward()
