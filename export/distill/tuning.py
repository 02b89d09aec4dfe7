"""Fine-tuning of a Whisper teacher on labelled speech, before it teaches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.files import is_empty_folder, printable
from emotion2vec_edge.engine.progress import Progress, no_progress

from ..finetune.embeddings import padded
from ..finetune.speech import Speech
from ..finetune.training.batches import Batch, Batches
from ..finetune.training.learner import cross_entropy
from ..finetune.training.log import Report
from ..finetune.training.run import Run
from ..finetune.training.state import STATE
from ..finetune.training.trainable import Losses, ParameterGroup, Trainable
from .recipe import TuningRecipe
from .teachers.whisper import (
    CONFIG,
    Tuning,
    WhisperModel,
    WhisperTeacher,
    load_whisper,
    save_tuned,
)

BATCH = 16
"""Clips of similar length that are heard at once."""


class TeacherLearner(Trainable[WhisperModel, Batch]):
    """A Whisper that learns labels: small steps in its first layers, large ones in its head."""

    def __init__(self, model: WhisperModel, recipe: TuningRecipe) -> None:
        super().__init__()
        self.model, self.recipe = model, recipe

    def parameter_groups(self, weight_decay: float) -> list[ParameterGroup]:
        """Groups with learning rates that decay from the head down; positions stay as they are."""
        encoder, decay = self.model.encoder, self.recipe.layer_decay
        encoder.embed_positions.requires_grad_(requires_grad=False)
        depth = len(encoder.layers)
        scaled: list[tuple[float, list[torch.nn.Module | None]]] = [
            (decay**depth, [encoder.conv1, encoder.conv2]),
            (1.0, [encoder.layer_norm]),
            (self.recipe.head_scale, [self.model.head]),
        ]
        for index, layer in enumerate(encoder.layers):
            scaled.append((decay ** (depth - 1 - index), [layer]))
        return [
            ParameterGroup([p for m in modules if m for p in m.parameters()], weight_decay, scale)
            for scale, modules in scaled
        ]

    def losses(self, batch: Batch, step: int) -> Losses:  # noqa: ARG002 - all steps are alike
        """Cross-entropy of the labels."""
        logits: Tensor = self.model(batch.waves, batch.lengths)
        smoothing = self.recipe.regularization.label_smoothing
        loss = cross_entropy(logits, batch.targets, smoothing)
        return Losses(loss, loss)


def tune(
    teacher: WhisperTeacher,
    folder: Path,
    tokens: tuple[str, ...],
    recipe: TuningRecipe,
    speech: tuple[Speech, Speech],
    device: torch.device,
    progress: Progress = no_progress,
    tell: Callable[[str], object] = lambda _: None,
) -> WhisperTeacher:
    """Fine-tune a teacher, continue a tuning that was stopped, or take the one that is there.

    Args:
        teacher: a Whisper without a head.
        folder: folder of the tuned teacher and, until it is complete, of the saved training.
        tokens: lines of ``tokens.txt``, in the order of the labels.
        recipe: the recipe.
        speech: clips to train on and to validate on.
        device: where it trains.
        progress: receives the steps that are done.
        tell: receives a line at each measurement on the held-out speakers.

    Raises:
        OptionError: the folder holds another teacher, or a training with other settings.
        CheckpointError: the teacher in the folder is damaged.
        OutputError: the folder cannot be written.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the state is saved.
    """
    name = f"{teacher.name}, fine-tuned"
    if not (folder / CONFIG).is_file():
        if folder.exists() and not is_empty_folder(folder) and not (folder / STATE).is_file():
            raise OptionError(
                f"{printable(str(folder))} holds no teacher, which is to be kept there; move it"
            )
        model = _with_head(teacher, len(tokens), recipe.seed).to(device)
        learner = TeacherLearner(model, recipe)
        batches = Batches(speech[0], recipe, len(tokens), device)
        run = Run(folder, recipe, learner, batches, speech[1], whisper_logits)

        def on_report(report: Report) -> None:
            progress("tuning the teacher", report.step, recipe.steps)
            if report.ua is not None:
                tell(f"teacher, step {report.step}: held-out UA {report.ua:.3f}")

        run.on_report = on_report
        run.train()
        tuning = Tuning(tokens, model.layers, teacher.key)
        with run.averaged() as averaged:
            save_tuned(folder, averaged, tuning, teacher.folder)
        run.log.plot()
    tuned = load_whisper(folder, name, None, device)
    if tuned.tuning is None or (tuned.tuning.tuned_from, tuned.tuning.labels) != (
        teacher.key, tokens,
    ):  # fmt: skip
        raise OptionError(
            f"{printable(str(folder))} holds another tuned teacher; remove it, or "
            "give it as TEACHER"
        )
    (folder / STATE).unlink(missing_ok=True)
    return tuned


def _with_head(teacher: WhisperTeacher, labels: int, seed: int) -> WhisperModel:
    """The teacher with a new head, whose weights depend on the seed alone."""
    torch.manual_seed(seed)
    model = WhisperModel(teacher.model.encoder.config, teacher.model.layers, labels)
    model.encoder.load_state_dict(teacher.model.encoder.state_dict())
    return model


def whisper_logits(model: WhisperModel, speech: Speech) -> NDArray[np.float32]:
    """Logits of whole clips: float32 [clips, labels]."""
    if model.head is None:
        raise TypeError("a Whisper without a head gives no logits")
    order = np.argsort([len(wave) for wave in speech.waves], kind="stable")
    logits = np.zeros((len(speech), model.head.out_features), np.float32)
    device = model.head.weight.device
    with torch.no_grad():
        for start in range(0, len(order), BATCH):
            picked = order[start : start + BATCH]
            waves, lengths = padded([speech.waves[i].astype(np.float32) / 32768 for i in picked])
            logits[picked] = model(waves.to(device), lengths.to(device)).cpu().numpy()
    return logits
