"""A bundle with a new head, made on the edge box itself: no torch and no onnx."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion2vec_edge.engine import AudioError, Recognizer
from emotion2vec_edge.engine.audio.types import SAMPLE_RATE
from emotion2vec_edge.engine.bundle.bundle import Bundle
from emotion2vec_edge.engine.bundle.head import HEAD
from emotion2vec_edge.engine.bundle.integrity import copy_verified, refuse_links, sha256_of
from emotion2vec_edge.engine.bundle.locate import open_bundle
from emotion2vec_edge.engine.bundle.manifest import (
    CARD,
    MANIFEST,
    BundleFile,
    Label,
    Manifest,
    encoder_id,
)
from emotion2vec_edge.engine.bundle.schema import read_manifest
from emotion2vec_edge.engine.corpora.labelled import LabelledClip
from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.files import atomic_folder, printable
from emotion2vec_edge.engine.progress import Progress, no_progress
from emotion2vec_edge.engine.settings import PrecisionChoice

from ..output import check_output
from .card import head_card
from .checks import check_clips, listed
from .fitting import FittedHead, fit_head


@dataclass(frozen=True)
class _Encoded:
    """Clips after the encoder."""

    embeddings: NDArray[np.float32]
    """float32 [clips, dim]."""
    answers: list[str] | None
    """Emotion that the bundle's own head gives for each clip; None if some have none."""


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
        overwrite: replace a bundle that exists.
        progress: receives the clips, then the fits, that are done.

    Raises:
        OptionError: unusable clips, all by name, or an output that exists.
        BundleNotFoundError, BundleFormatError, BundleTamperedError: the model.
        OutputError: the bundle cannot be written.
    """
    check_output(output, MANIFEST, overwrite=overwrite)
    labels = check_clips(clips, None)
    bundle = open_bundle(model)
    for precision, variant in bundle.manifest.variants.items():
        bundle.verify(precision)
        refuse_links(bundle.folder, variant.files)
    # The head serves every precision, and the embeddings of the others lie around those of fp32.
    exact: PrecisionChoice = "fp32" if "fp32" in bundle.manifest.variants else "auto"
    recognizer = Recognizer.load(bundle.folder, precision=exact)
    encoded = _encode(recognizer, clips, progress)
    index = {label: i for i, label in enumerate(labels)}
    comparable = encoded.answers is not None and set(labels) <= set(recognizer.labels)
    fitted = fit_head(
        encoded.embeddings,
        np.array([index[clip.label or ""] for clip in clips]),
        labels,
        [clip.voice for clip in clips],
        np.array([index.get(answer, -1) for answer in encoded.answers or ()])
        if comparable
        else None,
        progress,
    )
    with atomic_folder(output, MANIFEST) as folder:
        manifest = _write(bundle, fitted, folder, printable(output.resolve().name))
    return manifest, fitted


def _encode(recognizer: Recognizer, clips: Sequence[LabelledClip], progress: Progress) -> _Encoded:
    """Encode the clips that do not come with an embedding of the same encoder.

    Raises:
        OptionError: clips that cannot be used, all by name.
    """
    manifest = recognizer.bundle.manifest
    encoder = encoder_id(manifest)
    size = 4 * manifest.architecture.embed_dim
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
    return _Encoded(np.array(embeddings), answers if len(answers) == len(clips) else None)


def _write(bundle: Bundle, fitted: FittedHead, folder: Path, name: str) -> Manifest:
    """Fill a folder with the variants of a bundle, the new head, the manifest and the card."""
    for variant in bundle.manifest.variants.values():
        for file in variant.files:
            copy_verified(bundle.folder, file, folder)
    if bundle.manifest.space is not None:  # the encoder, and so the embeddings, are the same
        copy_verified(bundle.folder, bundle.manifest.space.file, folder)
    np.savez(folder / HEAD, weight=fitted.weight, bias=fitted.bias)
    shown = {label.id: label for label in bundle.manifest.labels}
    head = {"fitted_on": "own speech", **fitted.evidence.to_dict()}
    manifest = dataclasses.replace(
        bundle.manifest,
        name=name,
        source=dataclasses.replace(bundle.manifest.source, head=head),
        labels=tuple(shown.get(label, Label(label, label)) for label in fitted.labels),
        head=BundleFile(HEAD, (folder / HEAD).stat().st_size, sha256_of(folder / HEAD)),
        calibration=fitted.calibration,
    )
    (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    read_manifest(folder / MANIFEST)  # labels may be text that no manifest can hold
    (folder / CARD).write_text(head_card(manifest, fitted), encoding="utf-8")
    return manifest
