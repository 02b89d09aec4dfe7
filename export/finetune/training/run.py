"""The training loop. It can be stopped at any step, and goes on from its last save as if it hadn't.

That is exact because nothing random outlives a step: every step seeds its own generators from the
run's seed and its number.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emotion2vec_edge.engine.audio.types import SAMPLE_RATE
from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.files import atomic_file
from emotion2vec_edge.engine.metrics import unweighted_accuracy

from ...model.emotion2vec import Emotion2vec
from ...model.padding import normalized_batch
from ..embeddings import logits_of, padded
from ..speech import Speech
from .augmentation import augment, coded, resampled
from .learner import Average, Learner
from .recipe import Recipe

STATE = "training.pt"
"""Everything that a run goes on from."""
LOG = "training.jsonl"
"""One line per report: step, seconds, losses, accuracy on the held-out speakers."""

SAVE_SECONDS = 180.0
REPORT_STEPS = 50


@dataclass
class Run:
    """One training run in its folder."""

    folder: Path
    recipe: Recipe
    learner: Learner
    training: Speech
    validation: Speech
    report: Callable[[dict[str, Any]], object] = lambda _: None
    validate_every: int = 1000

    def __post_init__(self) -> None:
        self.step = 0
        self.seconds = 0.0
        self.average = Average(self.learner.model, self.recipe.average_decay)
        groups = self.learner.parameter_groups(self.recipe.weight_decay)
        self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-6)
        self._weights = self.training.weights()

    def train(self) -> None:
        """Go on to the last step, saving every few minutes and when interrupted."""
        self.resume()
        self.learner.train()
        started = saved = time.monotonic()
        before = self.seconds
        losses: list[tuple[float, float]] = []
        try:
            while self.step < self.recipe.steps:
                losses.append(self._step())
                self.seconds = before + time.monotonic() - started
                last = self.step == self.recipe.steps
                if self.step % REPORT_STEPS == 0 or last:
                    self._report(losses, validate=self.step % self.validate_every == 0 or last)
                    losses = []
                if time.monotonic() - saved > SAVE_SECONDS or last:
                    self.save()
                    saved = time.monotonic()
        except KeyboardInterrupt:
            self.save()
            raise

    def _step(self) -> tuple[float, float]:
        recipe = self.recipe
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.rate(self.step) * group["scale"]
        waves, lengths, targets = self.batch(self.step)
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
            if self.step < recipe.frontend_steps:
                loss = self.learner.frontend_loss(waves, lengths)
                head, mel = torch.zeros(()), loss.detach()
            else:
                loss, head, mel = self.learner(waves, lengths, targets, recipe.mel_weight)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.learner.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        self.average.update(self.learner.model, self.step)
        return float(head), float(mel)

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """The batch of a step: waves [batch, samples], lengths [batch], targets [batch, labels]."""
        recipe, speech = self.recipe, self.training
        rng = np.random.default_rng([recipe.seed, step])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        torch.manual_seed(int(rng.integers(2**62)))  # dropout of this step
        shortest, longest = np.log(recipe.crop_seconds)
        seconds = float(np.exp(rng.uniform(shortest, longest)))
        count = max(2, round(recipe.batch_seconds / seconds))
        size = round(seconds * SAMPLE_RATE)
        picked = rng.choice(len(speech), count, p=self._weights)
        waves, lengths = padded([self._crop(speech.waves[i], size, rng) for i in picked])
        waves = normalized_batch(waves, lengths)
        waves, partner, share = augment(waves, lengths, recipe.augmentation, generator)
        labels = self.learner.model.encoder.head.out_features  # type: ignore[union-attr]
        own = torch.eye(int(labels))[torch.from_numpy(speech.labels[picked])]
        return waves, lengths, own + share[:, None] * (own[partner] - own)

    def _crop(
        self, wave: NDArray[np.int16], size: int, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        settings = self.recipe.augmentation
        factor = float(rng.uniform(*settings.speed))
        needed = round(size * factor)
        start = int(rng.integers(max(1, len(wave) - needed + 1)))
        heard = (wave[start : start + needed] / 32768).astype(np.float32)
        crop = resampled(heard, factor)[:size]
        return coded(crop, rng) if rng.random() < settings.codec_share else crop

    def _report(self, losses: list[tuple[float, float]], *, validate: bool) -> None:
        head, mel = np.mean(losses, axis=0)
        entry: dict[str, Any] = {
            "step": self.step, "seconds": round(self.seconds, 1), "loss": round(float(head), 4),
            "mel": round(float(mel), 4),
        }  # fmt: skip
        if validate and len(self.validation) and self.step > self.recipe.frontend_steps:
            entry |= self.validate()
        with (self.folder / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(entry) + "\n")
        self.report(entry)

    def validate(self) -> dict[str, Any]:
        """What the averaged weights are worth; see :meth:`accuracy`."""
        with self.averaged() as model:
            return self.accuracy(logits_of(model, self.validation))

    def accuracy(self, logits: NDArray[np.float32]) -> dict[str, Any]:
        """UA of answers to the held-out speakers [clips, labels], per corpus and on average."""
        found = logits.argmax(axis=1)
        corpora = self.validation.corpora
        per_corpus = {
            str(name): round(
                unweighted_accuracy(
                    self.validation.labels[corpora == name], found[corpora == name]
                ),
                4,
            )
            for name in np.unique(corpora)
        }
        return {"ua": round(float(np.mean(list(per_corpus.values()))), 4), "corpora": per_corpus}

    @contextlib.contextmanager
    def averaged(self) -> Iterator[Emotion2vec]:
        """Inside, the model has its averaged weights and does not learn."""
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
        state = {
            "recipe": self.recipe.as_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "learner": self.learner.state_dict(),
            "average": self.average.values,
            "optimizer": self.optimizer.state_dict(),
        }
        with atomic_file(self.folder / STATE) as file:
            torch.save(state, file)

    def resume(self) -> None:
        """Go on from the folder's state, if it has one.

        Raises:
            OptionError: it is of another run.
        """
        path = self.folder / STATE
        if not path.is_file():
            return
        state = torch.load(path, weights_only=True)
        mine = json.loads(json.dumps(self.recipe.as_dict()))
        theirs = json.loads(json.dumps(state["recipe"]))
        changed = [name for name in mine if mine[name] != theirs.get(name)]
        if changed:
            raise OptionError(
                f"{path} is of a run with another {', '.join(changed)}; go on with the same "
                "settings, or give another -o"
            )
        self.learner.load_state_dict(state["learner"])
        self.average.values = state["average"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]
        log = self.folder / LOG
        if log.is_file():  # what was reported after the save comes again
            lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [line for line in lines if json.loads(line)["step"] <= self.step]
            log.write_text("".join(kept), encoding="utf-8")
