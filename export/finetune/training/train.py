"""A whole training: from labelled speech to a checkpoint folder that FunASR loads."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emotion2vec_edge.engine.bundle.manifest import CARD
from emotion2vec_edge.engine.corpora.labelled import LabelledClip
from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.files import printable, reported, write_file
from emotion2vec_edge.engine.metrics import calibrate
from emotion2vec_edge.engine.progress import Progress, no_progress
from emotion2vec_edge.engine.runtime.hardware import usable_threads

from ...checkpoint.calibration import write_calibration
from ...checkpoint.folder import WEIGHTS, load_checkpoint, write_checkpoint
from ...checkpoint.labels import PLUS_TOKENS, parse_label
from ...model.emotion2vec import Emotion2vec
from ...output import check_output
from ..card import training_card
from ..checks import check_clips
from ..embeddings import logits_of
from ..evidence import TrainingEvidence
from ..speech import Speech, load_speech, split_speech
from .batches import Batch, Batches
from .initialization import new_document, new_model
from .learner import Learner
from .log import Report
from .recipe import FINETUNING, FROM_NOTHING, Recipe, bfloat16_is_faster
from .run import Run, mean_accuracy
from .state import STATE, load_state
from .trainable import BatchT, ModelT

UNSTATED = "that of the training speech, which was not stated"


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of a training that the user gives; None takes the recipe's value."""

    output: Path
    """Folder of the new checkpoint, and of the saved state until it is complete."""
    model: str | None = None
    """Checkpoint folder to begin with."""
    shape: str | None = None
    """Shape of a new model, instead of ``model``."""
    validation: float = 0.08
    """Share of the clips that is held out, as whole speakers."""
    licence: str | None = None
    """Licence of the new weights."""
    overwrite: bool = False
    seed: int = 0
    steps: int | None = None
    learning_rate: float | None = None
    batch_seconds: float | None = None

    def recipe(self) -> Recipe:
        """The recipe with the user's values."""
        base = FROM_NOTHING if self.shape is not None else FINETUNING
        names = ("seed", "steps", "learning_rate", "batch_seconds")
        given = {name: getattr(self, name) for name in names}
        return dataclasses.replace(
            base, **{name: value for name, value in given.items() if value is not None}
        )


@dataclass(frozen=True)
class _Start:
    """The model and the recipe that a training begins with."""

    model: Emotion2vec
    document: Mapping[str, Any]
    """The content of its ``config.yaml``."""
    tokens: tuple[str, ...]
    recipe: Recipe
    origin: str

    @property
    def labels(self) -> list[str]:
        return [parse_label(token).id for token in self.tokens]


def train(
    settings: TrainingSettings,
    clips: Sequence[LabelledClip],
    progress: Progress = no_progress,
    tell: Callable[[str], object] = lambda _: None,
) -> TrainingEvidence:
    """Train, or continue a training that was stopped; write a FunASR checkpoint folder.

    Args:
        settings: the model, the output, and what differs from the recipe.
        clips: labelled speech.
        progress: receives the clips that are read, then the steps that are done.
        tell: receives a line at each measurement on the held-out speakers.

    Returns:
        the measurements on the held-out speakers.

    Raises:
        OptionError: unusable speech, an output that exists, or settings that differ from those of
            the stopped training.
        CheckpointError: the checkpoint cannot be read.
        OutputError: the output cannot be written.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the state is saved.
    """
    torch.set_num_threads(usable_threads())
    state = settings.output / STATE
    if not state.is_file():
        check_output(settings.output, WEIGHTS, overwrite=settings.overwrite)
    start = _start(settings)
    check_clips(clips, start.labels)
    speech = load_speech(clips, start.labels, progress)
    if not any(clip.speaker for clip in clips):
        tell("no speakers in the manifest: recordings are held out, so expect less on new people")
    training, validation = split_speech(speech, settings.validation)
    with reported(settings.output):
        learner = Learner(start.model, len(start.labels), start.recipe)
        batches = Batches(training, start.recipe, len(start.labels))
        run = Run(settings.output, start.recipe, learner, batches, validation, logits_of)

        def on_report(report: Report) -> None:
            progress("training", report.step, start.recipe.steps)
            if report.ua is not None:
                tell(f"step {report.step}: loss {report.loss:.3f}, held-out UA {report.ua:.3f}")

        run.on_report = on_report
        run.train()
        evidence = _finish(settings, start, run, training)
        state.unlink(missing_ok=True)
    return evidence


def _start(settings: TrainingSettings) -> _Start:
    state = load_state(settings.output)
    recipe = settings.recipe()
    # A resumed training continues in the arithmetic that it began in.
    bfloat16 = bfloat16_is_faster() if state is None else bool(state.recipe.get("bfloat16"))
    recipe = dataclasses.replace(recipe, bfloat16=bfloat16)
    # Everything that is created from here on, the auxiliary heads too, depends on the seed alone.
    torch.manual_seed(recipe.seed)
    if settings.shape is not None:
        document = new_document(settings.shape)
        model = new_model(document, len(PLUS_TOKENS), recipe.seed)
        origin = "A small emotion2vec, trained from nothing."
        return _Start(model, document, PLUS_TOKENS, recipe, origin)
    folder = Path(str(settings.model))
    checkpoint = load_checkpoint(folder)
    if not checkpoint.labels:
        raise OptionError(f"{folder}: has no emotion head to train; give --head first")
    tokens = tuple(label.token for label in checkpoint.labels)
    origin = f"{printable(folder.resolve().name)}, all weights trained further."
    return _Start(checkpoint.model, checkpoint.document, tokens, recipe, origin)


def _finish(
    settings: TrainingSettings, start: _Start, run: Run[Emotion2vec, Batch], training: Speech
) -> TrainingEvidence:
    """Write the checkpoint with the averaged weights, its calibration, card and picture."""
    output = settings.output
    licence = settings.licence or UNSTATED
    with run.averaged() as model:
        evidence = measured(start.origin, run, training, logits_of(model, run.validation))
        write_checkpoint(output, start.document, model, start.tokens)
    write_calibration(output, evidence.calibration, licence)
    card = training_card(printable(output.resolve().name), evidence, licence)
    write_file(output / CARD, card.encode())
    run.log.plot()
    return evidence


def measured(
    origin: str, run: Run[ModelT, BatchT], training: Speech, logits: NDArray[np.float32]
) -> TrainingEvidence:
    """Measurements of a finished run.

    Args:
        origin: one sentence: the weights that the training began with.
        run: the run.
        training: the clips that it learned from.
        logits: logits of the held-out clips, float32 [clips, labels].
    """
    validation = run.validation
    accuracies = run.accuracies(logits)
    fit = calibrate(logits, validation.labels)
    known = any(clip.speaker for clip in training.clips)
    return TrainingEvidence(
        origin=origin,
        clips=len(training),
        hours=training.seconds() / 3600,
        speakers=len(np.unique(training.speakers)),
        held_out_clips=len(validation),
        held_out_speakers=len(np.unique(validation.speakers)),
        held_out_by="speakers" if known else "recordings",
        steps=run.step,
        ua=mean_accuracy(accuracies),
        corpora=accuracies,
        temperature=round(fit.temperature, 4),
        ece_before=round(fit.ece_before, 4),
        ece=round(fit.ece, 4),
    )
