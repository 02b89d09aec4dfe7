"""The audio door: any file, bytes, stream or array → 16 kHz mono float32, or a clear error.

Decoding and resampling run in blocks: a :class:`Recording` holds one of them at a time, and
:func:`load_audio` joins them.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import AudioTooLongError, AudioTooShortError
from ..settings import LEAST_RECORDING, check_seconds
from .convert import Converter
from .decoders import open_reader
from .readers import ArrayReader, Reader, check_header
from .sources import open_source
from .types import LEAST_SAMPLES, SAMPLE_RATE, AudioSource, DecoderName, Samples, StoredRecording


@dataclass(frozen=True)
class Audio:
    """Decoded audio and its origin."""

    samples: Samples
    """float32 [samples], 16 kHz mono."""
    name: str
    """Path of the file, or what stands for it in messages."""
    source_rate: int
    """Sample rate in Hz before resampling."""
    source_channels: int
    """Number of channels before mixing."""
    decoder: DecoderName
    """The library that decoded it."""

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.samples) / SAMPLE_RATE


def load_audio(
    source: AudioSource, rate: int | None = None, *, channel: int | None = None
) -> Audio:
    """Read a whole recording.

    Args:
        source: a path, the bytes of a file, an open binary file, or samples: int16, int32, uint8,
            float32 or float64, [samples] or [samples, channels].
        rate: sample rate in Hz; needed for samples, ignored for files, which say it themselves.
        channel: channel to take, from 0; None takes the mean of all.

    Raises:
        AudioNotFoundError, AudioReadError: the file cannot be opened or read.
        UndecodableAudioError, NoAudioStreamError: it cannot be decoded, or has no audio.
        TruncatedAudioError: it ends before its own header says.
        AudioTooShortError: fewer than 400 samples at 16 kHz.
        InvalidSamplesError: NaN, infinite or absurdly loud samples; a dtype, shape, rate or
            channel that cannot be.
    """
    with Recording(source, rate, channel=channel) as recording:
        blocks = list(recording.blocks())
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    check_length(len(samples), recording.name)
    return Audio(samples, recording.name, recording.rate, recording.channels, recording.decoder)


def check_length(samples: int, name: str) -> None:
    """Refuse a recording that is shorter than one frame of the model.

    Raises:
        AudioTooShortError: fewer than 400 samples at 16 kHz.
    """
    if samples < LEAST_SAMPLES:
        raise AudioTooShortError(
            f"{name}: {samples} samples at 16 kHz ({1000 * samples / SAMPLE_RATE:.1f} ms); "
            f"the model needs at least {LEAST_SAMPLES} (25 ms)"
        )


class Recording:
    """An open recording: the facts of its header, and its audio in blocks. A context manager.

    Args:
        source: as for :func:`load_audio`.
        rate: sample rate in Hz, for samples.
        channel: channel to take, from 0; None takes the mean of all.
        max_seconds: longest recording that is taken; None takes any.
        cut: take the first ``max_seconds`` of a longer recording instead of refusing it.

    Raises:
        AudioError: as :func:`load_audio`.
        OptionError: ``max_seconds`` or ``channel`` is out of range.
    """

    def __init__(
        self,
        source: AudioSource,
        rate: int | None = None,
        *,
        channel: int | None = None,
        max_seconds: float | None = None,
        cut: bool = False,
    ) -> None:
        if max_seconds is not None:
            check_seconds("max_seconds", max_seconds, LEAST_RECORDING)
        self.channel = channel
        self.max_seconds = max_seconds
        self.cut = cut
        self.was_cut = False
        """True if a longer recording was cut."""
        self.rereadable = True
        """True if :meth:`blocks` may be called again; a long pipe passes only once."""
        self._stack = contextlib.ExitStack()
        self._open: Callable[[], Reader]
        files = (str, os.PathLike, bytes, bytearray, StoredRecording)
        if isinstance(source, files) or hasattr(source, "read"):
            opened = self._stack.enter_context(contextlib.closing(open_source(source)))
            self.rereadable = opened.seekable
            self._open = functools.partial(open_reader, opened)
        else:
            self._open = functools.partial(ArrayReader, source, rate)
        try:
            self._reader: Reader | None = self._open()
            self._stack.callback(self._reader.close)
            check_header(self._reader, channel)
        except BaseException:
            self.close()
            raise
        self.name = self._reader.name
        self.rate = self._reader.rate
        """Sample rate of the source in Hz."""
        self.channels = self._reader.channels
        """Number of channels of the source."""
        self.decoder = self._reader.decoder
        """The library that decodes it."""

    def blocks(self, channel: int | None = None) -> Iterator[Samples]:
        """The audio from its start: float32 [samples], mono, 16 kHz, in blocks of a few seconds.

        Args:
            channel: channel to take in place of the one that was chosen for the recording.

        Raises:
            AudioError: it cannot be read or decoded, holds NaN, is cut off, or is too long.
        """
        channel = self.channel if channel is None else channel
        reader, self._reader = self._reader, None
        if reader is None:  # a decoder that was sought to its start need not give the same samples
            reader = self._open()
            self._stack.callback(reader.close)
        if self.max_seconds is None:
            yield from _resampled(reader, channel)
            return
        self._refuse_over(reader.promised_seconds or 0)
        left = round(self.max_seconds * SAMPLE_RATE)
        for block in _resampled(reader, channel):
            if len(block) > left:
                self._refuse_over(np.inf)
                self.was_cut = True
                yield block[:left]
                return
            left -= len(block)
            yield block

    def _refuse_over(self, seconds: float) -> None:
        if self.max_seconds is not None and seconds > self.max_seconds and not self.cut:
            length = f"{seconds:.0f} s long" if seconds < np.inf else "longer"
            raise AudioTooLongError(
                f"{self.name}: {length}, at most {self.max_seconds:g} s are taken; raise "
                "--max-seconds, or take its beginning with --cut"
            )

    def close(self) -> None:
        """Close the source."""
        self._stack.close()

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _resampled(reader: Reader, channel: int | None) -> Iterator[Samples]:
    """Mono blocks at 16 kHz."""
    converter = Converter(reader.name, reader.rate, channel)
    for block in reader.blocks():
        yield converter.feed(block)
    yield converter.flush()
