"""The training loop: learning, and stops that leave no trace."""

import json
import os
import signal

import pytest
import torch

from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.export.finetune.embeddings import logits_of
from emotion2vec_edge.export.finetune.training.augmentation import Augmentation
from emotion2vec_edge.export.finetune.training.log import LOG
from emotion2vec_edge.export.finetune.training.recipe import Regularization
from emotion2vec_edge.export.finetune.training.state import STATE, load_state


def signal_during_step(run, step, number):
    """Send a signal to this process in the middle of a step."""
    losses = run._losses

    def interrupted(batch):
        if run.step == step:
            os.kill(os.getpid(), number)
        return losses(batch)

    run._losses = interrupted


def assert_equal_states(ours, theirs):
    for name, value in theirs.learner.state_dict().items():
        torch.testing.assert_close(ours.learner.state_dict()[name], value, rtol=0, atol=0)
    for name, value in theirs.average.values.items():
        torch.testing.assert_close(ours.average.values[name], value, rtol=0, atol=0)


@pytest.mark.parametrize(("number", "muon"), [(signal.SIGINT, 0.0), (signal.SIGTERM, 2.0)])
def test_a_training_that_was_stopped_goes_on_as_if_it_had_not_been(
    start_run, tmp_path, number, muon
):
    whole = start_run(tmp_path / "whole", 8, muon_scale=muon)
    assert len(whole.optimizers) == (2 if muon else 1)
    whole.train()
    stopped = start_run(tmp_path / "parts", 8, muon_scale=muon)
    signal_during_step(stopped, 5, number)
    with pytest.raises(KeyboardInterrupt):
        stopped.train()
    assert stopped.step == 6  # the step that was begun is complete
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    parts = start_run(tmp_path / "parts", 8, muon_scale=muon)
    parts.train()
    assert (whole.step, parts.step) == (8, 8)
    assert_equal_states(parts, whole)
    logs = [(tmp_path / name / LOG).read_text() for name in ("whole", "parts")]
    last = [json.loads(log.splitlines()[-1]) for log in logs]
    assert last[0]["step"] == last[1]["step"] == 8
    with pytest.raises(OptionError, match="another steps"):
        start_run(tmp_path / "parts", 9, muon_scale=muon).train()


def test_a_second_interrupt_does_not_wait_for_the_step(start_run, tmp_path):
    run = start_run(tmp_path / "run", 8)
    losses = run._losses

    def interrupted_twice(batch):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        return losses(batch)

    run._losses = interrupted_twice
    with pytest.raises(KeyboardInterrupt):
        run.train()
    assert load_state(tmp_path / "run").step == 0  # half a step is not saved


def test_a_log_that_a_crash_cut_off_is_continued(start_run, tmp_path):
    stopped = start_run(tmp_path / "run", 4)
    signal_during_step(stopped, 2, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        stopped.train()
    with (tmp_path / "run" / LOG).open("a") as log:
        log.write('{"step": 4, "seconds": 1.0, "loss": 9.0, "parts": {}}\n{"step": 4, "sec')
    run = start_run(tmp_path / "run", 4)
    run.train()
    reports = run.log.reports()
    assert [report.step for report in reports] == [4]
    assert reports[0].loss < 9


def test_a_new_training_begins_a_new_log(start_run, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOG).write_text('{"step": 1, "seconds": 1, "loss": 1, "parts": {}}\n')
    run = start_run(tmp_path / "run", 2)
    run.train()
    assert [report.step for report in run.log.reports()] == [2]


def test_the_state_of_another_model_is_refused(start_run, tmp_path):
    run = start_run(tmp_path / "run", 2)
    run.save()
    wider = start_run(tmp_path / "run", 2)
    wider.learner.to_mel = torch.nn.Linear(5, 40)
    with pytest.raises(OptionError, match="of a run with another model, or with other labels"):
        wider.train()


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut off"])
def test_a_damaged_state_is_refused(start_run, tmp_path, content):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / STATE).write_bytes(content)
    with pytest.raises(OptionError, match="the saved training cannot be read; remove the file"):
        start_run(tmp_path / "run", 2).train()


@pytest.mark.parametrize("muon", [0.0, 2.0])
def test_training_learns(start_run, tmp_path, muon):
    run = start_run(
        tmp_path / "run", 60, average_decay=0.9, muon_scale=muon,
        augmentation=Augmentation((1, 1), 0, 0, 0, 0, 0, 0, (10, 10), 0, 0),
        regularization=Regularization(0, 0, 0, 0),
    )  # fmt: skip
    run.train()
    with run.averaged() as model:
        found = logits_of(model, run.validation).argmax(axis=1)
    assert (found == run.validation.labels).mean() > 0.8
