"""Audio from a microphone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import AudioError, MissingExtraError, OptionError
from .capture import CaptureBuffer


def start_microphone(
    device: str | None, rate: int | None, channels: int, make: Callable[[int], CaptureBuffer]
) -> CaptureBuffer:
    """Open a microphone and record from then on.

    Args:
        device: number of the device, or a part of its name; None takes the system's default.
        rate: sample rate in Hz; None takes that of the device.
        channels: number of channels.
        make: makes the buffer, given the rate.

    Raises:
        MissingExtraError: sounddevice, or PortAudio, which it needs, is not installed.
        OptionError: there is no such device.
        AudioError: the device cannot be opened with this rate and these channels.
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
    buffer = make(rate)

    def receive(block: NDArray[np.float32], _frames: int, _time: Any, _status: Any) -> None:
        buffer.put(block.copy(), wait=False)

    try:
        stream = sounddevice.InputStream(
            samplerate=rate, device=chosen, channels=channels, dtype="float32", callback=receive,
            finished_callback=buffer.end,
        )  # fmt: skip
        stream.start()
    except (ValueError, sounddevice.PortAudioError) as error:
        raise AudioError(
            f"the microphone cannot be opened at {rate} Hz with {channels} channels: {error}"
        ) from None
    buffer.source = stream
    return buffer
