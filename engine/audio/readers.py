"""Readers: audio in blocks, at its own rate and number of channels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..errors import AudioError, InvalidSamplesError, OptionError, UndecodableAudioError
from .types import MOST_CHANNELS, RATES, DecoderName

BLOCK_SECONDS = 4.0
BLOCK_VALUES = 1 << 21
"""Values (frames × channels) of a block: at 64 channels and 768 kHz 4 s would be 786 MB."""


class Reader(ABC):
    """An open recording.

    Args:
        name: for messages.
        rate: sample rate in Hz.
        channels: number of channels.
        promised_seconds: length that the header states; None if it does not.
    """

    decoder: DecoderName

    def __init__(self, name: str, rate: int, channels: int, promised_seconds: float | None) -> None:
        self.name = name
        self.rate = rate
        self.channels = channels
        self.promised_seconds = promised_seconds

    @property
    def block_frames(self) -> int:
        """Most frames of one block."""
        return max(1, min(int(BLOCK_SECONDS * self.rate), BLOCK_VALUES // max(1, self.channels)))

    @abstractmethod
    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """The audio in order: float32 [frames, channels], at most ``block_frames`` each.

        Raises:
            AudioError: it cannot be read or decoded.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the source."""


def check_header(reader: Reader, channel: int | None) -> None:
    """Refuse a rate, a number of channels or a channel that cannot be.

    Raises:
        InvalidSamplesError, UndecodableAudioError: rate or channels of samples, or of a file.
        OptionError: the channel is not a whole number.
    """
    if not RATES[0] <= reader.rate <= RATES[1]:
        raise _header_error(
            reader, f"a sample rate of {reader.rate} Hz; {RATES[0]} to {RATES[1]} Hz are taken"
        )
    if not 1 <= reader.channels <= MOST_CHANNELS:
        raise _header_error(reader, f"{reader.channels} channels; 1 to {MOST_CHANNELS} are taken")
    if channel is None:
        return
    if isinstance(channel, bool) or not isinstance(channel, int | np.integer):
        raise OptionError(f"channel is {channel!r}; give a whole number from 0, or None")
    if not 0 <= channel < reader.channels:
        raise InvalidSamplesError(
            f"{reader.name}: no channel {channel}; it has {reader.channels}, counted from 0"
        )


def _header_error(reader: Reader, problem: str) -> AudioError:
    kind = InvalidSamplesError if reader.decoder == "array" else UndecodableAudioError
    return kind(f"{reader.name}: {problem}")
