"""The speech of a distillation: labelled and unlabelled clips, and those that are held out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion2vec_edge.engine.corpora.labelled import LabelledClip
from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.progress import Progress

from ..finetune.checks import check_clips
from ..finetune.speech import SoundFile, Speech, load_speech, split_speech
from .lessons.cache import checksum

LONGEST = 20.0
"""Seconds of the longest clip; longer recordings are cut into equal parts."""

UNLABELLED = "unlabelled"
"""Corpus of recordings that are named without labels."""


@dataclass(frozen=True)
class DistillationData:
    """Clips: labelled ones in memory, 115 MB an hour, the others memory-mapped."""

    training: Speech
    validation: Speech
    """Held-out clips: labelled ones, where there are any."""
    checksums: tuple[str, ...]
    """Checksum of each training clip."""
    validation_checksums: tuple[str, ...]

    @property
    def labelled(self) -> Speech:
        """The training clips with a label."""
        return self.training.subset(self.training.labels >= 0)

    def checksum(self) -> str:
        """Checksum of all sound and labels."""
        speech = self.training + self.validation
        names = zip(self.checksums + self.validation_checksums, speech.labels, strict=True)
        text = "\n".join(f"{name} {label}" for name, label in names) + f" {len(self.training)}"
        return hashlib.sha256(text.encode()).hexdigest()


def load_data(
    clips: Sequence[LabelledClip],
    labels: Sequence[str],
    validation: float,
    left_out: Sequence[str],
    folder: Path,
    progress: Progress,
    tell: Callable[[str], object],
) -> DistillationData:
    """Decode and split the speech.

    Args:
        clips: the clips, with a label or without one.
        labels: the labels of the student.
        validation: share of the labelled clips that is held out, as whole speakers; of all clips
            where none has a label.
        left_out: corpora that are held out whole, besides those speakers.
        folder: holds the sound of clips without a label while they are used.
        progress: receives the clips that are read.
        tell: receives a line about recordings that are left out.

    Raises:
        OptionError: labelled speech that cannot be learned from, or no usable recording.
        OutputError: the folder cannot be written.
    """
    named = [clip for clip in clips if clip.label]
    others = [clip for clip in clips if not clip.label]
    if named:
        check_clips(named, labels)
    _check_left_out(named, left_out)
    labelled = load_speech(named, labels, progress, longest=LONGEST)
    with SoundFile(folder) as sound:
        unlabelled = load_speech(
            others, labels, progress, longest=LONGEST, sound=sound, on_problems=tell
        )
    if not len(labelled) + len(unlabelled):
        raise OptionError("no recording can be learned from; give --data or --unlabelled")
    foreign = np.isin(labelled.corpora, left_out)
    split = labelled.subset(~foreign) if len(labelled) else unlabelled
    training, held = split_speech(split, validation)
    held = held + labelled.subset(foreign)
    if len(labelled):
        training = training + unlabelled
    held_checksums = tuple(map(checksum, held.waves))
    checksums = np.array([checksum(wave) for wave in training.waves])
    # The same recordings may be given with labels and without.
    new = ~np.isin(checksums, held_checksums)
    return DistillationData(
        training.subset(new), held, tuple(checksums[new].tolist()), held_checksums
    )


def _check_left_out(clips: Sequence[LabelledClip], left_out: Sequence[str]) -> None:
    corpora = sorted({clip.corpus for clip in clips})
    for name in left_out:
        if name not in corpora:
            raise OptionError(
                f"--leave-out {name}: no labelled clip is of that corpus; there are "
                f"{', '.join(corpora) or 'none'}"
            )
    if corpora and set(corpora) <= set(left_out):
        raise OptionError("--leave-out names every corpus; none is left to learn from")


def unlabelled_clips(inputs: Sequence[str]) -> list[LabelledClip]:
    """Recordings of folders, patterns and lists, without labels.

    Raises:
        OptionError: an input that is not there, or holds no recording.
    """
    import sys

    from emotion2vec_edge.engine.batch.inputs.discover import collect

    return [
        LabelledClip(Path(item.path), None, "unlabelled") for item in collect(inputs, sys.stdin)
    ]


def without_unknown_labels(
    clips: Sequence[LabelledClip], labels: Sequence[str], tell: Callable[[str], object]
) -> list[LabelledClip]:
    """The clips; without any label if one of them is not among ``labels``, which is told."""
    unknown = sorted({clip.label for clip in clips if clip.label} - set(labels))
    if not unknown:
        return list(clips)
    tell(
        f"the teacher has no label {unknown[0]}: the labels of the data are not used, and the "
        "student is measured against the teacher's answers"
    )
    return [replace(clip, label=None) for clip in clips]


def answered(speech: Speech, answers: NDArray[np.float32]) -> Speech:
    """The clips with the teachers' answers in the place of labels."""
    return replace(speech, labels=answers.argmax(axis=1).astype(np.int64))
