"""A checkpoint with a new head, fitted on labelled speech."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from emotion2vec_edge.engine.bundle.manifest import CARD
from emotion2vec_edge.engine.corpora.labelled import LabelledClip
from emotion2vec_edge.engine.files import atomic_folder
from emotion2vec_edge.engine.progress import Progress, no_progress
from emotion2vec_edge.engine.runtime.hardware import usable_threads

from ..checkpoint.calibration import write_calibration
from ..checkpoint.folder import load_checkpoint, write_checkpoint
from ..model.emotion2vec import Emotion2vec
from ..output import check_free
from .card import fitted_lines
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

    Arguments and errors as :func:`~.finetune.bundle_head.finetune_bundle`.
    """
    check_free(output, overwrite=overwrite)
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
        _before(checkpoint.model, [label.id for label in checkpoint.labels], embeddings, labels),
        progress,
    )
    model = Emotion2vec(checkpoint.config, len(labels))
    weights = {
        name: value
        for name, value in checkpoint.model.state_dict().items()
        if not name.startswith("encoder.head.")
    }
    weights["encoder.head.weight"] = torch.from_numpy(fitted.weight)
    weights["encoder.head.bias"] = torch.from_numpy(fitted.bias)
    model.load_state_dict(weights)
    shown = {label.id: label.token for label in checkpoint.labels}
    with atomic_folder(output, "model.pt") as new:
        tokens = [shown.get(label, label) for label in labels]
        write_checkpoint(new, checkpoint.document, model, tokens)
        write_calibration(new, fitted.calibration)
        lines = [f"# {output.name}", "", f"{folder.resolve().name} with a new emotion head.", ""]
        (new / CARD).write_text("\n".join([*lines, *fitted_lines(fitted), ""]), encoding="utf-8")
    return fitted


def _before(
    model: Emotion2vec,
    own: Sequence[str],
    embeddings: np.ndarray[Any, np.dtype[np.float32]],
    labels: Sequence[str],
) -> np.ndarray[Any, np.dtype[np.int64]] | None:
    """What the checkpoint's own head answers, as indices of ``labels``; None if they differ."""
    if model.encoder.head is None or not set(labels) <= set(own):
        return None
    with torch.no_grad():
        found = model.encoder.head(torch.from_numpy(embeddings)).argmax(dim=1).numpy()
    index = {label: i for i, label in enumerate(labels)}
    return np.array([index.get(own[i], -1) for i in found])
