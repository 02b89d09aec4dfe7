"""Speech for the quality gate: the user's own, labelled or not, or the built-in clips."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emotion2vec_edge.engine import AudioError, example_recordings, load_audio
from emotion2vec_edge.engine.audio.types import LEAST_SAMPLES, SAMPLE_RATE, Samples
from emotion2vec_edge.engine.corpora.labelled import read_corpus
from emotion2vec_edge.engine.errors import OptionError

LEAST_CLIPS = 8
"""Least number of clips: fewer say too little about a model."""


@dataclass(frozen=True)
class Clip:
    """One clip for the gate."""

    samples: Samples
    label: str | None
    """The true emotion; None if it is not known."""


@dataclass(frozen=True)
class Calibration:
    """Clips and their origin."""

    clips: tuple[Clip, ...]
    source: str
    """Name of the corpus, or ``built in``."""


def load_calibration(path: Path | None, most: int = 300) -> Calibration:
    """Read the speech for the gate.

    Args:
        path: a corpus as :func:`~emotion2vec_edge.engine.corpora.labelled.read_corpus` takes it,
            of which the split ``test`` is read; None for the built-in clips.
        most: largest number of clips, which are spread evenly over the corpus.

    Raises:
        OptionError: there is no such path, or it has too few readable recordings.
    """
    if path is None:
        return Calibration(tuple(_built_in()), "built in")
    found = read_corpus(path)
    picked = [found[i] for i in np.linspace(0, len(found) - 1, min(most, len(found))).astype(int)]
    clips = []
    for clip in picked:
        # A few unreadable files among many do not matter to the comparison.
        with contextlib.suppress(AudioError):
            samples = clip.samples()
            if len(samples) >= LEAST_SAMPLES:
                clips.append(Clip(samples, clip.label))
    if len(clips) < LEAST_CLIPS:
        raise OptionError(
            f"{path}: {len(clips)} readable recordings of {len(found)}; give a folder or a CSV "
            f"(path,label) with at least {LEAST_CLIPS}"
        )
    return Calibration(tuple(clips), path.name)


def _built_in() -> Iterator[Clip]:
    """3.5 minutes of the example recordings: cut, resampled, swelling, noisy and muffled."""
    speech = np.concatenate([load_audio(path).samples for path in example_recordings()])
    rng = np.random.default_rng(0)
    for index in range(64):
        seconds = rng.uniform(1.5, 5.0)
        speed = rng.uniform(0.75, 1.35)  # changes pitch and tempo, as emotions do
        count = round(seconds * SAMPLE_RATE)
        start = rng.integers(len(speech) - round(count * speed) - 1)
        positions = start + speed * np.arange(count)
        clip = np.interp(positions, np.arange(len(speech)), speech)
        if index % 4 == 1:
            noise = rng.normal(size=count) * np.sqrt(np.mean(clip**2))
            clip = clip + noise * 10 ** (-rng.uniform(5, 25) / 20)
        if index % 4 == 2:
            clip = np.convolve(clip, np.ones(4) / 4, mode="same")
        if index % 4 != 1:  # loud and quiet in one clip, which is hardest for eight bits
            turns = np.linspace(0, rng.uniform(0.5, 2.0), count)
            clip = clip * 10 ** (-50 * np.abs(np.sin(np.pi * turns + rng.uniform(0, 3))) / 20)
        clip = clip * 10 ** (-rng.uniform(0, 30) / 20)
        yield Clip(clip.astype(np.float32), None)
