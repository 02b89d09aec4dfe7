"""Orders of training, from the manifest to a checkpoint folder that FunASR loads."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from emotion2vec_edge.engine.bundle.manifest import CARD, Calibration
from emotion2vec_edge.engine.corpora.labelled import LabelledClip
from emotion2vec_edge.engine.errors import OptionError, OutputError
from emotion2vec_edge.engine.files import reported
from emotion2vec_edge.engine.metrics import calibrate
from emotion2vec_edge.engine.progress import Progress, no_progress
from emotion2vec_edge.engine.runtime.hardware import usable_threads

from ...checkpoint.calibration import write_calibration
from ...checkpoint.folder import load_checkpoint, write_checkpoint
from ...checkpoint.labels import PLUS_TOKENS, parse_label
from ...model.emotion2vec import Emotion2vec
from ...output import check_free
from ..card import training_card
from ..checks import check_clips
from ..embeddings import logits_of
from ..speech import held_out_speakers, load_speech
from .initialization import new_document, new_model
from .learner import Learner
from .plot import plot_log
from .precision import bfloat16_is_faster
from .recipe import FINETUNING, FROM_NOTHING, Recipe
from .run import STATE, Run

UNSTATED = "that of the training speech, which was not stated"


@dataclass(frozen=True)
class TrainingSettings:
    """What is to be trained."""

    output: Path
    model: str | None = None
    """The checkpoint to begin with."""
    shape: str | None = None
    """Or the shape of a new model."""
    validation: float = 0.08
    """Share of the clips that is held out."""
    licence: str | None = None
    overwrite: bool = False
    changed: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of the recipe that the user gave."""


@dataclass(frozen=True)
class _Start:
    """What a training begins with."""

    model: Emotion2vec
    document: dict[str, Any]
    tokens: tuple[str, ...]
    recipe: Recipe
    origin: str


def train(
    order: TrainingSettings,
    clips: Sequence[LabelledClip],
    progress: Progress = no_progress,
    tell: Callable[[str], object] = lambda _: None,
) -> dict[str, Any]:
    """Train, or go on with a training that was stopped; write a FunASR checkpoint folder.

    Args:
        order: what.
        clips: labelled speech.
        progress: receives the number of clips that are read, then of steps that are done.
        tell: takes a line whenever the held-out speakers were asked.

    Returns:
        what was measured on the held-out speakers.

    Raises:
        OptionError: speech that cannot be learned from, an output that exists, a changed order.
        CheckpointError: the checkpoint cannot be read.
        OutputError: the output cannot be written.
    """
    torch.set_num_threads(usable_threads())
    state = order.output / STATE
    if not state.is_file():
        check_free(order.output, overwrite=order.overwrite)
    start = _start(order, state)
    labels = [parse_label(token).id for token in start.tokens]
    check_clips(clips, labels)
    speech = load_speech(clips, labels, progress)
    if not any(clip.speaker for clip in clips):
        tell("no speakers in the manifest: recordings are held out, so expect less on new people")
    held = held_out_speakers(speech, order.validation)
    if not held.any():
        raise OptionError(
            "no speaker could be held out: none has few enough of the clips; give more speakers, "
            "or a larger --validation"
        )
    training, validation = speech.subset(~held), speech.subset(held)
    with reported(order.output):
        order.output.mkdir(parents=True, exist_ok=True)
        learner = Learner(start.model, len(labels), start.recipe.regularization)
        run = Run(order.output, start.recipe, learner, training, validation)

        def report(entry: dict[str, Any]) -> None:
            progress("training", entry["step"], start.recipe.steps)
            if "ua" in entry:
                tell(
                    f"step {entry['step']}: loss {entry['loss']:.3f}, held-out UA {entry['ua']:.3f}"
                )

        run.report = report
        try:
            run.train()
        except RuntimeError as error:  # torch's, of a disk that is full while it saves
            raise OutputError(f"{order.output}: the training cannot be saved: {error}") from error
        facts = _finish(order, start, run)
    state.unlink(missing_ok=True)
    return facts


def _start(order: TrainingSettings, state: Path) -> _Start:
    if order.shape is not None:
        document = new_document(order.shape)
        tokens: tuple[str, ...] = PLUS_TOKENS
        base = FROM_NOTHING
        origin = "A small emotion2vec, trained from nothing."
    else:
        folder = Path(str(order.model))
        checkpoint = load_checkpoint(folder)
        if not checkpoint.labels:
            raise OptionError(f"{folder}: has no emotion head to train; give --head first")
        document = dict(checkpoint.document)
        base, tokens = FINETUNING, tuple(label.token for label in checkpoint.labels)
        origin = f"{folder.resolve().name}, all weights trained further."
    recipe = dataclasses.replace(base, **order.changed)
    if state.is_file():  # so that it goes on in the arithmetic that it began in
        saved = torch.load(state, weights_only=True, map_location="cpu")["recipe"]
        recipe = dataclasses.replace(recipe, bfloat16=bool(saved["bfloat16"]))
    else:
        recipe = dataclasses.replace(recipe, bfloat16=bfloat16_is_faster())
    if order.shape is not None:
        model = new_model(document, len(tokens), recipe.seed)
    else:
        model = checkpoint.model
    return _Start(model, document, tokens, recipe, origin)


def _finish(order: TrainingSettings, start: _Start, run: Run) -> dict[str, Any]:
    """The temperature, the card, and the checkpoint in the output folder."""
    with run.averaged() as model:
        logits = logits_of(model, run.validation)
        truth = run.validation.labels
        fit = calibrate(logits, truth)
        facts: dict[str, Any] = {
            "origin": start.origin,
            "clips": len(run.training),
            "hours": run.training.seconds() / 3600,
            "speakers": len(np.unique(run.training.speakers)),
            "held_out_clips": len(run.validation),
            "held_out_speakers": len(np.unique(run.validation.speakers)),
            "who": "speakers" if any(clip.speaker for clip in run.training.clips) else "recordings",
            "steps": run.step,
            "temperature": round(fit.temperature, 4),
            "ece_before": round(fit.ece_before, 4),
            "ece": round(fit.ece, 4),
            **run.accuracy(logits),
        }
        licence = order.licence or UNSTATED
        name = order.output.resolve().name
        write_checkpoint(order.output, start.document, model, start.tokens)
        calibration = Calibration(
            temperature=facts["temperature"],
            fitted_on=f"{facts['held_out_clips']} clips of {facts['who']} that were held out",
            ece_before=facts["ece_before"],
            ece=facts["ece"],
        )
        write_calibration(order.output, calibration, licence)
        (order.output / CARD).write_text(training_card(name, facts, licence), encoding="utf-8")
        plot_log(order.output)
    return facts
