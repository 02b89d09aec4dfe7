"""Labelled speech in memory: decoded, split by speakers, and sampled evenly."""

from __future__ import annotations

import hashlib
import itertools
import math
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion2vec_edge.engine import AudioError
from emotion2vec_edge.engine.audio.types import SAMPLE_RATE
from emotion2vec_edge.engine.corpora.labelled import LabelledClip
from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.files import reported
from emotion2vec_edge.engine.progress import Progress, no_progress

from .checks import listed

SHORTEST = 0.2
"""Seconds of the shortest clip to learn from."""


class SoundFile:
    """Clips on disk instead of in memory: a nameless file, gone with its last clip.

    A context manager: clips are added inside, and live on outside.
    """

    def __init__(self, folder: Path) -> None:
        """Begin the file.

        Args:
            folder: where it lies; it is made if it is not there.

        Raises:
            OutputError: the folder cannot be written.
        """
        self.folder, self._sizes = folder, [0]
        with reported(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - __exit__ closes it

    def __enter__(self) -> SoundFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()  # maps of it stay

    def add(self, wave: NDArray[np.int16]) -> None:
        """Append a clip, int16 [samples].

        Raises:
            OutputError: the disk fails.
        """
        with reported(self.folder):
            self._file.write(wave.tobytes())
        self._sizes.append(len(wave))

    def waves(self) -> tuple[NDArray[np.int16], ...]:
        """All clips so far, memory-mapped."""
        with reported(self.folder):
            self._file.flush()
        starts = np.cumsum(self._sizes)
        if not starts[-1]:
            return ()
        sound = np.memmap(self._file, np.int16, "r")
        return tuple(sound[a:b] for a, b in itertools.pairwise(starts))


@dataclass(frozen=True)
class Speech:
    """Clips in memory."""

    clips: tuple[LabelledClip, ...]
    waves: tuple[NDArray[np.int16], ...]
    """16 kHz mono, [samples], scaled to full range: the model normalises the level anyway."""
    labels: NDArray[np.int64]
    """Index of each clip's label; −1 for a clip without one."""

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def corpora(self) -> NDArray[np.str_]:
        """Corpus of each clip."""
        return np.array([clip.corpus for clip in self.clips])

    @property
    def speakers(self) -> NDArray[np.str_]:
        """Speaker of each clip, unique across corpora; a clip without one is its own speaker."""
        return np.array([clip.voice or str(clip.path) for clip in self.clips])

    def seconds(self) -> float:
        """Duration of all clips together."""
        return sum(map(len, self.waves)) / SAMPLE_RATE

    def subset(self, pick: NDArray[np.bool_]) -> Speech:
        """The clips where ``pick`` [clips] is true."""
        chosen = np.flatnonzero(pick)
        return Speech(
            tuple(self.clips[i] for i in chosen),
            tuple(self.waves[i] for i in chosen),
            self.labels[chosen],
        )

    def __add__(self, other: Speech) -> Speech:
        """The clips of both, these first."""
        labels = np.concatenate([self.labels, other.labels])
        return Speech(self.clips + other.clips, self.waves + other.waves, labels)

    def weights(self, power: float = 0.5) -> NDArray[np.float64]:
        """Probability of drawing each clip: float64 [clips], with a sum of 1.

        Within a corpus all labels are equally frequent. A corpus weighs its number of clips to the
        ``power``: 0 makes all corpora equal, 1 makes all clips equal.
        """
        corpora = self.corpora.tolist()
        cells = list(zip(corpora, self.labels.tolist(), strict=True))
        clips, in_cell = Counter(corpora), Counter(cells)
        kinds = Counter(corpus for corpus, _ in in_cell)
        raw = np.array([clips[cell[0]] ** power / kinds[cell[0]] / in_cell[cell] for cell in cells])
        weights: NDArray[np.float64] = raw / raw.sum()
        return weights


def load_speech(
    clips: Sequence[LabelledClip],
    labels: Sequence[str],
    progress: Progress = no_progress,
    *,
    longest: float | None = None,
    sound: SoundFile | None = None,
    on_problems: Callable[[str], object] | None = None,
) -> Speech:
    """Decode clips.

    Args:
        clips: each has a label among ``labels``, see :func:`~.checks.check_clips`, or none.
        labels: the labels, in the order of the model's outputs.
        progress: receives the number of clips that are done.
        longest: seconds of the longest clip; longer ones are cut into equal parts.
        sound: file that holds the clips; None keeps them in memory.
        on_problems: receives a list of the recordings that cannot be used, which are left out;
            without it they are refused.

    Raises:
        OptionError: recordings that cannot be used, all of them by name.
    """
    waves: list[NDArray[np.int16]] = []
    kept, problems = [], []
    for number, clip in enumerate(clips, 1):
        try:
            samples = clip.samples()
            if len(samples) < SHORTEST * SAMPLE_RATE:
                problems.append(f"{clip.place}: under {SHORTEST} s")
                continue
        except AudioError as error:
            problems.append(f"{clip.place}: {error}")
            continue
        peak = float(np.abs(samples).max(initial=0)) or 1.0
        wave = (samples * (32767 / peak)).round().astype(np.int16)
        parts = 1 if longest is None else math.ceil(len(wave) / (longest * SAMPLE_RATE))
        for part in np.array_split(wave, parts):
            waves.append(part) if sound is None else sound.add(part)
        kept += [clip] * parts
        progress("reading", number, len(clips))
    if problems:
        text = listed("these recordings cannot be learned from", problems)
        if on_problems is None:
            raise OptionError(text)
        on_problems(text)
    index = {label: i for i, label in enumerate(labels)}
    found = [index[clip.label] if clip.label else -1 for clip in kept]
    held = tuple(waves) if sound is None else sound.waves()
    return Speech(tuple(kept), held, np.array(found, np.int64))


def split_speech(speech: Speech, share: float) -> tuple[Speech, Speech]:
    """Speech to train on and to validate on; see :func:`held_out_speakers`.

    Raises:
        OptionError: no speaker could be held out.
    """
    held = held_out_speakers(speech, share)
    if not held.any():
        raise OptionError(
            "no speaker could be held out: none has few enough of the clips; give more speakers, "
            "or a larger --validation"
        )
    return speech.subset(~held), speech.subset(held)


def held_out_speakers(speech: Speech, share: float) -> NDArray[np.bool_]:
    """Choose clips to validate on: of each corpus, whole speakers with ``share`` of its clips.

    Speakers are taken in the order of a hash of their name, so that the choice does not change when
    others are added. A speaker with more than twice the share is passed over.

    Returns:
        bool [clips].
    """
    held = np.zeros(len(speech), bool)
    corpora, speakers = speech.corpora, speech.speakers
    for corpus in np.unique(corpora):
        counts = Counter(speakers[corpora == corpus].tolist())
        total, taken = sum(counts.values()), 0
        if len(counts) < 2:
            continue
        for speaker in sorted(counts, key=lambda name: hashlib.sha256(name.encode()).hexdigest()):
            if taken >= share * total:
                break
            if taken + counts[speaker] <= 2 * share * total:
                held |= speakers == speaker
                taken += counts[speaker]
    return held
