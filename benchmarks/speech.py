"""Speech of a wanted length, from the sample recordings or the user's own."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np

from emotion2vec_edge.engine import AudioError, example_recordings, load_audio
from emotion2vec_edge.engine.audio.types import SAMPLE_RATE, Samples
from emotion2vec_edge.engine.batch.inputs.discover import collect
from emotion2vec_edge.engine.errors import OptionError


def sample_speech() -> Samples:
    """The recordings of the package, joined: float32 [samples] at 16 kHz."""
    return np.concatenate([load_audio(path).samples for path in example_recordings()])


def of_length(speech: Samples, seconds: float) -> Samples:
    """The first ``seconds`` of the speech, which is repeated if it is shorter."""
    return np.resize(speech, round(seconds * SAMPLE_RATE))


def joined_speech(source: Path | None, seconds: float) -> Samples:
    """Recordings joined to one of ``seconds``, repeated if there are not enough.

    Args:
        source: a recording or a folder of them, taken in a random but fixed order; None takes the
            recordings of the package.
        seconds: length of the result.

    Raises:
        OptionError: no recording could be read.
    """
    paths = [str(path) for path in example_recordings()]
    if source is not None:
        paths = [item.path for item in collect([str(source)], sys.stdin)]
        random.Random(0).shuffle(paths)  # noqa: S311
    pieces: list[Samples] = []
    for path in paths:
        try:
            pieces.append(load_audio(path).samples)
        except AudioError:
            continue
        if sum(map(len, pieces)) >= seconds * SAMPLE_RATE:
            break
    if not pieces:
        raise OptionError(f"{source}: no recording in it could be read; give one, or a folder")
    return of_length(np.concatenate(pieces), seconds)
