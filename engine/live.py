"""Audio that comes by itself, from a pipe or a microphone, and does not wait for the model.

A thread takes in what arrives and notes when. Whoever works on it asks for all there is.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from .audio import RATES
from .decoders import UNKNOWN_LENGTH
from .errors import AudioError, MissingExtraError, OptionError, UndecodableAudioError

SampleFormat = Literal["s16le", "s24le", "s32le", "f32le", "u8"]

WIDTHS: dict[SampleFormat, int] = {"s16le": 2, "s24le": 3, "s32le": 4, "f32le": 4, "u8": 1}
"""Bytes of one sample."""

HELD_SECONDS = 10.0
"""So much may wait; then the sender does."""

SLACK_SECONDS = 2.0
"""By how much audio may be ahead of the clock and still come from somebody who speaks now."""


@dataclass(frozen=True)
class Piece:
    """Some audio, and when it came."""

    samples: NDArray[Any]
    """[samples, channels], of a dtype that :func:`~.audio.load_audio` takes."""
    arrived: float
    """``time.perf_counter``."""


class Arrivals:
    """What has arrived and was not yet taken.

    Args:
        rate: Hz.
        live: whether it comes as fast as time passes; None finds out.
    """

    def __init__(self, rate: int, live: bool | None = None) -> None:
        self.rate = rate
        self._live = live
        self._changed = threading.Condition()
        self._pieces: deque[Piece] = deque()
        self._waiting = 0
        self._received = 0
        self._began = 0.0
        self._ended = False
        self._error: BaseException | None = None
        self.source: Any = None
        """What is recorded by as long as it is held."""

    @property
    def live(self) -> bool:
        """Whether the audio is being spoken now, so that falling behind would have no end.

        A file that is piped in comes faster than time passes, and is in no hurry.
        """
        if self._live is not None:
            return self._live
        return time.perf_counter() - self._began > SLACK_SECONDS  # as long as it stays undecided

    def put(self, samples: NDArray[Any], *, wait: bool) -> None:
        """Add what arrived; to ``wait`` is to let the sender wait while too much is untaken."""
        now = time.perf_counter()
        with self._changed:
            while wait and self._waiting > HELD_SECONDS * self.rate and not self._ended:
                self._changed.wait()
            self._began = self._began or now
            self._received += len(samples)
            if (
                self._live is None
                and self._received / self.rate > now - self._began + SLACK_SECONDS
            ):
                self._live = False
            self._pieces.append(Piece(samples, now))
            self._waiting += len(samples)
            self._changed.notify_all()

    def end(self, error: BaseException | None = None) -> None:
        """Nothing more will arrive, perhaps for a reason."""
        with self._changed:
            self._ended = True
            self._error = self._error or error
            self._changed.notify_all()

    def take(self, timeout: float) -> list[Piece] | None:
        """All that has arrived, as soon as there is any; nothing after ``timeout`` seconds.

        Returns:
            the pieces, or None at the end.

        Raises:
            AudioError: what ended it, once everything before was taken.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._pieces or self._ended, timeout)
            pieces = list(self._pieces)
            self._pieces.clear()
            self._waiting = 0
            self._changed.notify_all()
            if pieces or not self._ended:
                return pieces
            if self._error is not None:
                raise self._error
            return None


@dataclass(frozen=True)
class PcmFormat:
    """How raw samples lie in a pipe."""

    rate: int
    channels: int = 1
    sample_format: SampleFormat = "s16le"
    length: int | None = None
    """Bytes that follow; None: to the end."""

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel."""
        return self.channels * WIDTHS[self.sample_format]

    def decode(self, content: bytes) -> NDArray[Any]:
        """Whole frames → [samples, channels]."""
        if self.sample_format == "s24le":
            wide = np.zeros((len(content) // 3, 4), np.uint8)
            wide[:, 1:] = np.frombuffer(content, np.uint8).reshape(-1, 3)
            samples: NDArray[Any] = wide.view("<i4")[:, 0]
        else:
            dtypes = {"s16le": "<i2", "s32le": "<i4", "f32le": "<f4", "u8": "u1"}
            samples = np.frombuffer(content, dtypes[self.sample_format])
        return samples.reshape(-1, self.channels)


def read_wav_header(pipe: IO[bytes]) -> PcmFormat | bytes:
    """The format that a WAV at the start of a pipe says, leaving the pipe at its samples.

    Returns:
        the format, or what was read where it is no WAV.

    Raises:
        UndecodableAudioError: a WAV that is damaged, or does not hold plain samples.
    """
    head = _exactly(pipe, 12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return head
    fmt = b""
    while len(chunk := _exactly(pipe, 8)) == 8:
        length = int.from_bytes(chunk[4:], "little")
        if chunk[:4] == b"data":
            # A sender that cannot know the length writes 0 or the largest number.
            return _wav_format(fmt, length if 0 < length < UNKNOWN_LENGTH else None)
        content = _exactly(pipe, length + length % 2)
        if chunk[:4] == b"fmt ":
            fmt = content
    raise UndecodableAudioError("<stdin>: a WAV that ends before its samples")


def _wav_format(fmt: bytes, length: int | None) -> PcmFormat:
    tag, channels = (int.from_bytes(fmt[i : i + 2], "little") for i in (0, 2))
    bits = int.from_bytes(fmt[14:16], "little")
    if tag == 0xFFFE:  # extensible: the tag is the start of a GUID
        tag = int.from_bytes(fmt[24:26], "little")
    formats: dict[tuple[int, int], SampleFormat] = {
        (1, 8): "u8", (1, 16): "s16le", (1, 24): "s24le", (1, 32): "s32le", (3, 32): "f32le",
    }  # fmt: skip
    if (tag, bits) not in formats or not channels:
        raise UndecodableAudioError(
            f"<stdin>: a WAV with codec {tag}, {bits} bits, {channels} channels; plain samples are "
            "taken: ffmpeg -i … -f s16le -ar 16000 -ac 1 - | e2v stream - --rate 16000"
        )
    rate = int.from_bytes(fmt[4:8], "little")
    if not RATES[0] <= rate <= RATES[1]:
        raise UndecodableAudioError(
            f"<stdin>: a WAV at {rate} Hz; {RATES[0]} to {RATES[1]} Hz are taken"
        )
    return PcmFormat(rate, channels, formats[tag, bits], length)


def _exactly(pipe: IO[bytes], size: int) -> bytes:
    content = b""
    while len(content) < size and (more := pipe.read(size - len(content))):
        content += more
    return content


def start_pipe(pipe: Any, format_: PcmFormat, head: bytes, arrivals: Arrivals) -> None:
    """Take in the samples of a pipe, in a thread.

    Args:
        pipe: a binary file; its ``read1`` gives what there is.
        format_: how the samples lie in it.
        head: what was read of them already.
        arrivals: where they go.
    """

    def read() -> None:
        try:
            left = format_.length
            rest = head
            most = max(1, format_.rate // 10) * format_.frame_bytes
            while left is None or left > 0:
                content = rest + pipe.read1(most if left is None else min(most, left))
                if len(content) == len(rest):
                    break
                if left is not None:
                    left -= len(content) - len(rest)
                whole = len(content) - len(content) % format_.frame_bytes
                rest = content[whole:]
                if whole:
                    arrivals.put(format_.decode(content[:whole]), wait=True)
        except OSError as error:
            raise AudioError(f"<stdin>: cannot be read: {error}") from None

    _start(read, arrivals)


def start_blocks(blocks: Iterator[NDArray[Any]], arrivals: Arrivals) -> None:
    """Take in the blocks of a recording, in a thread."""

    def read() -> None:
        for block in blocks:
            arrivals.put(block, wait=True)

    _start(read, arrivals)


def _start(read: Callable[[], None], arrivals: Arrivals) -> None:
    def run() -> None:
        try:
            read()
        except Exception as error:  # noqa: BLE001 - raised again where the audio is taken
            arrivals.end(error)
        else:
            arrivals.end()

    threading.Thread(target=run, daemon=True).start()


def start_microphone(
    device: str | None, rate: int | None, channels: int, make: Callable[[int], Arrivals]
) -> Arrivals:
    """Open a microphone; what it hears arrives from then on.

    Args:
        device: its number or a part of its name; None takes the system's default.
        rate: Hz; None takes what the device prefers.
        channels: how many.
        make: makes the arrivals, given the rate.

    Raises:
        MissingExtraError: sounddevice, or PortAudio below it, is not installed.
        OptionError: there is no such device.
        AudioError: it cannot be opened so.
    """
    try:
        import sounddevice
    except ImportError:
        raise MissingExtraError(
            "a microphone needs sounddevice: pip install 'emotion2vec-edge[mic]'"
        ) from None
    except OSError as error:
        raise MissingExtraError(
            f"sounddevice needs PortAudio ({error}): apt install libportaudio2"
        ) from None
    chosen: int | str | None = int(device) if device is not None and device.isdigit() else device
    try:
        rate = rate or int(sounddevice.query_devices(chosen, "input")["default_samplerate"])
    except (ValueError, sounddevice.PortAudioError) as error:
        raise OptionError(
            f"no microphone {device or ''}: {error}; python -m sounddevice lists them"
        ) from None
    arrivals = make(rate)

    def heard(block: NDArray[np.float32], _frames: int, _time: Any, _status: Any) -> None:
        arrivals.put(block.copy(), wait=False)

    try:
        stream = sounddevice.InputStream(
            samplerate=rate, device=chosen, channels=channels, dtype="float32", callback=heard,
            finished_callback=arrivals.end,
        )  # fmt: skip
        stream.start()
    except (ValueError, sounddevice.PortAudioError) as error:
        raise AudioError(
            f"the microphone cannot be opened at {rate} Hz with {channels} channels: {error}"
        ) from None
    arrivals.source = stream
    return arrivals
