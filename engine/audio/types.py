"""Types and limits of sound that the modules of this package share."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import IO, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Samples: TypeAlias = NDArray[np.float32]
"""float32 [samples], mono, 16 kHz unless a rate says otherwise; full scale is ±1."""


@dataclass(frozen=True)
class StoredRecording:
    """A recording inside of a larger file, such as an archive; it is read when its turn comes."""

    name: str
    """Name for messages."""
    content: bytes | None = field(default=None, repr=False)
    """Bytes of the recording, if they were read together with others."""
    archive: str = ""
    """Path or URL of the file that holds it, if they were not."""
    start: int = 0
    """First byte of the recording in the archive."""
    size: int = 0
    """Number of its bytes."""
    problem: str | None = None
    """Reason why it cannot be read, if that is known already."""


AudioSource: TypeAlias = "str | os.PathLike[str] | bytes | IO[bytes] | StoredRecording | ArrayLike"
"""A path, the URL of an object in a store, the bytes of a file, an open binary file, a recording of
a dataset, or samples."""

DecoderName = Literal["libsndfile", "ffmpeg", "array"]
"""The library that decoded a recording; ``array`` for samples in memory."""

SAMPLE_RATE = 16_000
LEAST_SAMPLES = 400
"""Samples of one receptive field of the model at 16 kHz: 25 ms."""

RATES = (1_000, 768_000)
"""Lowest and highest sample rate in Hz; anything else is a damaged header."""
MOST_CHANNELS = 64
LOUDEST = 1e30
"""Largest absolute sample. Full scale is 1, and integers that were never scaled reach 2³¹; the rest
up to float32's 3e38 is headroom for sums over channels and in the resampler."""

AUDIO_SUFFIXES = frozenset(
    [".3gp", ".aac", ".ac3", ".aif", ".aifc", ".aiff", ".amr", ".ape", ".au", ".avi", ".caf",
     ".flac", ".m4a", ".m4b", ".mka", ".mkv", ".mov", ".mp2", ".mp3", ".mp4", ".mpga", ".oga",
     ".ogg", ".opus", ".snd", ".sph", ".ts", ".wav", ".wave", ".weba", ".webm", ".wma", ".wv"]
)  # fmt: skip
"""File name suffixes that are looked for in a folder; a file named by the user may have any."""
