"""A bundle with a new head, made on the box itself: the engine's embeddings, no torch, no onnx."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emotion2vec_edge.engine import AudioError, Recognizer
from emotion2vec_edge.engine.audio.types import SAMPLE_RATE
from emotion2vec_edge.engine.bundle.head import HEAD
from emotion2vec_edge.engine.bundle.integrity import sha256_of
from emotion2vec_edge.engine.bundle.locate import open_bundle
from emotion2vec_edge.engine.bundle.manifest import (
    CARD,
    MANIFEST,
    BundleFile,
    Label,
    Manifest,
)
from emotion2vec_edge.engine.corpora.feedback import encoder_id
from emotion2vec_edge.engine.corpora.labelled import LabelledClip
from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.files import atomic_folder
from emotion2vec_edge.engine.progress import Progress, no_progress
from emotion2vec_edge.engine.settings import PrecisionChoice

from ..output import check_free
from .card import head_card
from .checks import check_clips, listed
from .fitting import FittedHead, fit_head


def finetune_bundle(
    model: str,
    clips: Sequence[LabelledClip],
    output: Path,
    *,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> tuple[Manifest, FittedHead]:
    """Write a bundle like ``model`` with a head fitted on labelled speech.

    Args:
        model: path or name of a bundle.
        clips: the speech; its labels become the model's.
        output: folder of the new bundle.
        overwrite: replace a bundle that is there.
        progress: receives the number of clips, then of fits, that are done.

    Raises:
        OptionError: clips that cannot be learned from, all by name, or an output that exists.
        BundleNotFoundError, BundleFormatError, BundleTamperedError: the model.
        OutputError: the bundle cannot be written.
    """
    check_free(output, overwrite=overwrite)
    labels = check_clips(clips, None)
    bundle = open_bundle(model)
    # fp32 where it is there: the head serves every precision, and the others lie around fp32.
    precision: PrecisionChoice = "fp32" if "fp32" in bundle.manifest.variants else "auto"
    recognizer = Recognizer.load(bundle.folder, precision=precision)
    encoder = encoder_id(bundle.manifest)
    size = 4 * bundle.manifest.architecture.embed_dim
    embeddings, answers, problems = [], [], []
    for number, clip in enumerate(clips, 1):
        if clip.encoder == encoder and len(clip.embedding or b"") == size:
            embeddings.append(np.frombuffer(clip.embedding or b"", "<f4").astype(np.float32))
        else:
            try:
                encoding = recognizer.encode(clip.samples(), SAMPLE_RATE)
            except AudioError as error:
                problems.append(f"{clip.place}: {error}")
                continue
            embeddings.append(encoding.embedding())
            if recognizer.labels:
                answers.append(encoding.utterance().emotion)
        progress("embeddings", number, len(clips))
    if problems:
        raise OptionError(listed("these recordings cannot be learned from", problems))
    index = {label: i for i, label in enumerate(labels)}
    truth = np.array([index[clip.label or ""] for clip in clips])
    # Kept embeddings come without the model's answer.
    comparable = len(answers) == len(clips) and set(labels) <= set(recognizer.labels)
    fitted = fit_head(
        np.array(embeddings),
        truth,
        labels,
        [clip.voice for clip in clips],
        np.array([index.get(answer, -1) for answer in answers]) if comparable else None,
        progress,
    )
    shown = {label.id: label for label in bundle.manifest.labels}
    source = dataclasses.replace(
        bundle.manifest.source, head={"fitted_on": "own speech", **fitted.evidence}
    )
    with atomic_folder(output, MANIFEST) as folder:
        for variant in bundle.manifest.variants.values():
            for file in variant.files:
                (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(bundle.folder / file.path, folder / file.path)
        np.savez(folder / HEAD, weight=fitted.weight, bias=fitted.bias)
        manifest = dataclasses.replace(
            bundle.manifest,
            name=output.name,
            source=source,
            labels=tuple(shown.get(label, Label(label, label)) for label in labels),
            head=BundleFile(HEAD, (folder / HEAD).stat().st_size, sha256_of(folder / HEAD)),
            calibration=fitted.calibration,
        )
        (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
        (folder / CARD).write_text(head_card(manifest, fitted), encoding="utf-8")
    return manifest, fitted
