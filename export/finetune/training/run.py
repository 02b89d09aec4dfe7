"""The training loop. It can be stopped at any step, and then continues from its last save exactly.

It is exact because no random state outlives a step: every step seeds its own generators from the
run's seed and its number.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

import numpy as np
import torch
from numpy.typing import NDArray

from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.metrics import unweighted_accuracy

from ...interrupts import Interrupts
from ..speech import Speech
from .learner import Average
from .log import Report, TrainingLog
from .recipe import Recipe
from .state import STATE, TrainingState, load_state, remove_leftovers
from .trainable import BatchSource, BatchT, Losses, ModelT, ParameterGroup, Trainable

SAVE_SECONDS = 180.0
REPORT_STEPS = 50


@dataclass
class Run(Generic[ModelT, BatchT]):
    """One training run in its folder."""

    folder: Path
    recipe: Recipe
    learner: Trainable[ModelT, BatchT]
    batches: BatchSource[BatchT]
    validation: Speech
    """Clips to measure on, which are not in the batches."""
    logits_of: Callable[[ModelT, Speech], NDArray[np.float32]]
    """Logits that the model gives for clips, float32 [clips, labels]."""
    on_report: Callable[[Report], object] = lambda _: None
    validate_every: int = 1000
    """Steps between two measurements on the held-out speakers."""

    def __post_init__(self) -> None:
        self.step = 0
        self.seconds = 0.0
        self.log = TrainingLog(self.folder)
        self.average = Average(self.learner.model, self.recipe.average_decay)
        groups = self.learner.parameter_groups(self.recipe.weight_decay)
        self.optimizers = optimizers(groups)

    def train(self) -> None:
        """Continue to the last step, saving every few minutes and when interrupted.

        Raises:
            KeyboardInterrupt: Ctrl-C or SIGTERM. The current step is completed and the state saved
                first: with half of a step in it, the training would not continue exactly.
        """
        self.resume()
        self.learner.train()
        started = saved = time.monotonic()
        before = self.seconds
        losses: list[dict[str, float]] = []
        with Interrupts().noted() as interrupts:
            while self.step < self.recipe.steps:
                losses.append(self._step())
                self.seconds = before + time.monotonic() - started
                last = self.step == self.recipe.steps
                if self.step % REPORT_STEPS == 0 or last:
                    self._report(losses, validate=self.step % self.validate_every == 0 or last)
                    losses = []
                if time.monotonic() - saved > SAVE_SECONDS or last or interrupts.requested:
                    self.save()
                    saved = time.monotonic()
                if not last:
                    interrupts.check()

    def _step(self) -> dict[str, float]:
        """Learn from one batch; returns its losses for the log."""
        recipe, learner = self.recipe, self.learner
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate(self.step) * group["scale"]
        batch = self.batches[self.step]
        with torch.autocast(learner.device.type, torch.bfloat16, enabled=recipe.bfloat16):
            losses = self._losses(batch)
        learner.zero_grad(set_to_none=True)
        losses.total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        self.average.update(learner.model, self.step)
        parts = {name: float(part.detach()) for name, part in losses.parts.items()}
        return {"loss": float(losses.main.detach()), **parts}

    def _losses(self, batch: BatchT) -> Losses:
        return self.learner.losses(batch, self.step)

    def _report(self, losses: list[dict[str, float]], *, validate: bool) -> None:
        names = {name: None for step in losses for name in step}
        means = {
            name: round(float(np.mean([step[name] for step in losses if name in step])), 4)
            for name in names
        }
        accuracy: dict[str, float] | None = None
        if validate and len(self.validation) and self.step > self.recipe.frontend_steps:
            with self.averaged() as model:
                accuracy = self.accuracies(self.logits_of(model, self.validation))
        report = Report(
            self.step,
            round(self.seconds, 1),
            means.pop("loss"),
            means,
            None if accuracy is None else mean_accuracy(accuracy),
            accuracy,
        )
        self.log.append(report)
        self.on_report(report)

    def accuracies(self, logits: NDArray[np.float32]) -> dict[str, float]:
        """UA of each corpus for logits of the held-out speakers' clips [clips, labels]."""
        found, truth = logits.argmax(axis=1), self.validation.labels
        corpora = self.validation.corpora
        return {
            str(name): round(unweighted_accuracy(truth[corpora == name], found[corpora == name]), 4)
            for name in np.unique(corpora)
        }

    @contextlib.contextmanager
    def averaged(self) -> Iterator[ModelT]:
        """The model with its averaged weights and without dropout, for the time of the block."""
        model = self.learner.model
        now = {name: value.clone() for name, value in model.state_dict().items()}
        model.load_state_dict(self.average.values, strict=False)
        self.learner.eval()
        try:
            yield model
        finally:
            model.load_state_dict(now)
            self.learner.train()

    def save(self) -> None:
        """Write the state, whole or not at all."""
        TrainingState(
            recipe=self.recipe.as_dict(),
            step=self.step,
            seconds=self.seconds,
            learner=self.learner.state_dict(),
            average=self.average.values,
            optimizers=[optimizer.state_dict() for optimizer in self.optimizers],
        ).save(self.folder)

    def resume(self) -> None:
        """Continue from the folder's state, if it has one.

        Raises:
            OptionError: the state is damaged, or belongs to a run with other settings.
        """
        remove_leftovers(self.folder)
        state = load_state(self.folder)
        if state is not None:
            self._check_recipe(state)
            try:
                self.learner.load_state_dict(state.learner)
            except RuntimeError:
                raise self._foreign("model, or with other labels") from None
            self.average.load(state.average)
            for optimizer, values in zip(self.optimizers, state.optimizers, strict=True):
                optimizer.load_state_dict(dict(values))
            self.step, self.seconds = state.step, state.seconds
        else:  # from now on there is something to continue from
            self.save()
        self.log.cut(self.step)

    def _check_recipe(self, state: TrainingState) -> None:
        ours = json.loads(json.dumps(self.recipe.as_dict()))
        theirs = json.loads(json.dumps(state.recipe))
        changed = [name for name in ours if ours[name] != theirs.get(name)]
        if changed:
            raise self._foreign(", ".join(changed))

    def _foreign(self, changed: str) -> OptionError:
        return OptionError(
            f"{self.folder / STATE} is of a run with another {changed}; continue with the same "
            "settings, or give another -o"
        )


def optimizers(groups: Sequence[ParameterGroup]) -> list[torch.optim.Optimizer]:
    """AdamW, and Muon (Jordan et al. 2024) for the groups that ask for it.

    Muon makes the step of a matrix equally large in all directions, so a transformer that begins
    with random weights needs far fewer steps. Its learning rates are on the scale of AdamW's.
    """
    chosen = {
        muon: [
            {"params": group.params, "weight_decay": group.weight_decay, "scale": group.scale}
            for group in groups
            if group.muon == muon
        ]
        for muon in (False, True)
    }
    found: list[torch.optim.Optimizer] = []
    if chosen[False]:
        found.append(torch.optim.AdamW(chosen[False], betas=(0.9, 0.98), eps=1e-6))
    if chosen[True]:
        found.append(torch.optim.Muon(chosen[True], adjust_lr_fn="match_rms_adamw"))
    return found


def mean_accuracy(accuracies: dict[str, float]) -> float:
    """Mean of the corpora's UA."""
    return round(float(np.mean(list(accuracies.values()))), 4)
