"""A checkpoint with a new head, fitted on labelled speech."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from emotion2vec_edge.engine.bundle.manifest import CARD
from emotion2vec_edge.engine.corpora.labelled import LabelledClip
from emotion2vec_edge.engine.files import atomic_folder, printable
from emotion2vec_edge.engine.progress import Progress, no_progress
from emotion2vec_edge.engine.runtime.hardware import usable_threads

from ..checkpoint.calibration import write_calibration
from ..checkpoint.folder import WEIGHTS, Checkpoint, load_checkpoint, write_checkpoint
from ..model.emotion2vec import Emotion2vec
from ..output import check_output
from .card import checkpoint_head_card
from .checks import check_clips
from .embeddings import embeddings_of
from .fitting import FittedHead, fit_head
from .speech import load_speech


def finetune_checkpoint(
    folder: Path,
    clips: Sequence[LabelledClip],
    output: Path,
    *,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> FittedHead:
    """Write a checkpoint like ``folder`` with a head fitted on labelled speech.

    Args:
        folder: the checkpoint.
        clips: the speech; its labels become the model's.
        output: folder of the new checkpoint.
        overwrite: replace a checkpoint that exists.
        progress: receives the clips, then the fits, that are done.

    Raises:
        OptionError: unusable clips, all by name, or an output that exists.
        CheckpointError: the checkpoint cannot be read.
        OutputError: the output cannot be written.
    """
    check_output(output, WEIGHTS, overwrite=overwrite)
    labels = check_clips(clips, None)
    checkpoint = load_checkpoint(folder)
    torch.set_num_threads(usable_threads())
    speech = load_speech(clips, labels, progress)
    embeddings = embeddings_of(checkpoint.model, speech, progress)
    fitted = fit_head(
        embeddings,
        speech.labels,
        labels,
        [clip.voice for clip in clips],
        _former_answers(checkpoint, embeddings, labels),
        progress,
    )
    tokens = {label.id: label.token for label in checkpoint.labels}
    with atomic_folder(output, WEIGHTS) as new:
        model = _with_head(checkpoint.model, fitted)
        write_checkpoint(new, checkpoint.document, model, [tokens.get(k, k) for k in labels])
        write_calibration(new, fitted.calibration)
        card = checkpoint_head_card(
            printable(output.resolve().name), printable(folder.resolve().name), fitted
        )
        (new / CARD).write_text(card, encoding="utf-8")
    return fitted


def _with_head(source: Emotion2vec, fitted: FittedHead) -> Emotion2vec:
    """A copy of a model with another head."""
    model = Emotion2vec(source.config, len(fitted.labels))
    weights = {
        name: value
        for name, value in source.state_dict().items()
        if not name.startswith("encoder.head.")
    }
    weights["encoder.head.weight"] = torch.from_numpy(fitted.weight)
    weights["encoder.head.bias"] = torch.from_numpy(fitted.bias)
    model.load_state_dict(weights)
    return model


def _former_answers(
    checkpoint: Checkpoint, embeddings: NDArray[np.float32], labels: Sequence[str]
) -> NDArray[np.int64] | None:
    """Answers of the checkpoint's own head, as indices of ``labels``, −1 for other labels.

    None if the head lacks one of the labels: the accuracies could not be compared.
    """
    head = checkpoint.model.encoder.head
    own = [label.id for label in checkpoint.labels]
    if head is None or not set(labels) <= set(own):
        return None
    with torch.no_grad():
        found = head(torch.from_numpy(embeddings)).argmax(dim=1).numpy()
    index = {label: i for i, label in enumerate(labels)}
    return np.array([index.get(own[i], -1) for i in found])
