"""Types and limits of sound that every room of audio shares."""

from __future__ import annotations

import os
from typing import IO, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Samples: TypeAlias = NDArray[np.float32]
"""float32 [samples], mono, 16 kHz unless a rate says otherwise; full scale is ±1."""

AudioSource: TypeAlias = "str | os.PathLike[str] | bytes | IO[bytes] | ArrayLike"
"""A path, the bytes of a file, an open binary file, or samples."""

SAMPLE_RATE = 16_000
LEAST_SAMPLES = 400
"""One receptive field of the model at 16 kHz: 25 ms."""

RATES = (1_000, 768_000)
"""Sample rates in Hz that are taken; anything else is a damaged header."""
MOST_CHANNELS = 64

AUDIO_SUFFIXES = frozenset(
    [".3gp", ".aac", ".ac3", ".aif", ".aifc", ".aiff", ".amr", ".ape", ".au", ".avi", ".caf",
     ".flac", ".m4a", ".m4b", ".mka", ".mkv", ".mov", ".mp2", ".mp3", ".mp4", ".mpga", ".oga",
     ".ogg", ".opus", ".snd", ".sph", ".ts", ".wav", ".wave", ".weba", ".webm", ".wma", ".wv"]
)  # fmt: skip
"""Endings that are looked for in a folder; a file that is named itself may have any."""
