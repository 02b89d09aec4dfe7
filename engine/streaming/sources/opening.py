"""Sources of live audio as a user names them: stdin, a recording, an address, a microphone."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from ...audio.recording import Recording
from ...audio.riff import USE_FFMPEG, PcmFormat, read_wav_header
from ...audio.types import SAMPLE_RATE, Samples
from ...errors import OptionError
from ...settings import SourceSettings
from .capture import CaptureBuffer, start_blocks, start_pipe
from .growing import GrowingFile
from .microphone import start_microphone
from .network import NetworkSource, parse_address
from .pulse import PulseSource
from .reconnect import start_reconnecting


def open_source(source: str | None, settings: SourceSettings) -> CaptureBuffer:
    """Open a source of audio and receive from then on.

    Args:
        source: ``-`` for stdin, an address, a device, or the path of a recording; None with
            ``settings.mic``.
        settings: format of the audio.

    Raises:
        OptionError: neither or both are given, or stdin needs a rate.
        AudioError: the audio cannot be opened.
        MissingExtraError: the source needs a package that is not installed.
    """
    if settings.mic == (source is not None):
        raise OptionError("give a source (- is stdin), or --mic")
    other = source is None or source == "-" or re.match(r"(pulse|alsa):|\w+://", source)
    if settings.follow and other:
        raise OptionError("--follow is for a file; other sources are followed anyway")
    buffer = _open(source, settings)
    if settings.name is not None:
        buffer.name = settings.name
    return buffer


def _open(source: str | None, settings: SourceSettings) -> CaptureBuffer:
    if source is None:
        live = True if settings.live is None else settings.live
        return start_microphone(
            settings.device, settings.rate, settings.channels,
            lambda hz: CaptureBuffer(hz, live, settings.channel, "microphone"),
        )  # fmt: skip
    if source == "-":
        return _open_stdin(settings)
    if address := parse_address(source, settings):
        return start_reconnecting(NetworkSource(address, settings.channel), settings.live)
    if source.startswith("pulse:"):
        return start_reconnecting(PulseSource(source[6:] or "default"), settings.live)
    if settings.follow:
        return start_reconnecting(GrowingFile(Path(source), settings), bool(settings.live))
    return _open_recording(source, settings)


def _open_recording(path: str, settings: SourceSettings) -> CaptureBuffer:
    recording = Recording(path, channel=settings.channel)

    def blocks() -> Iterator[Samples]:
        with recording:
            yield from recording.blocks()

    buffer = CaptureBuffer(SAMPLE_RATE, bool(settings.live), name=recording.name)
    start_blocks(blocks(), buffer)
    return buffer


def _open_stdin(settings: SourceSettings) -> CaptureBuffer:
    if sys.stdin.isatty():
        raise OptionError("stdin is a terminal; pipe audio into it, or use --mic")
    # Not sys.stdin: at its end Python waits for a thread that reads there, in vain, and aborts.
    pipe = open(sys.stdin.fileno(), "rb", closefd=False)  # noqa: SIM115 - the thread's
    found = read_wav_header(pipe)
    if isinstance(found, PcmFormat):
        format_, head = found, b""
    elif settings.rate is not None:
        format_, head = PcmFormat(settings.rate, settings.channels, settings.sample_format), found
    else:
        raise OptionError(
            "stdin is not WAV; raw samples need --rate (and --sample-format, --channels). "
            f"Anything else: {USE_FFMPEG}"
        )
    buffer = CaptureBuffer(format_.rate, settings.live, settings.channel, "<stdin>")
    start_pipe(pipe, format_, head, buffer)
    return buffer
