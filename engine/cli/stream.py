"""``e2v stream``: the emotion of live audio, window by window."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ..display import duration
from ..settings import STREAM_HOP_SECONDS, STREAM_WINDOW_SECONDS, check_stream_window
from .options import model_options
from .stdio import write_utf8

if TYPE_CHECKING:
    from ..audio.riff import SampleFormat
    from ..audio.types import Samples
    from ..settings import ModelSettings
    from ..streaming.capture import CaptureBuffer, Piece
    from ..streaming.stream import Stream, StreamWindow
    from ..streaming.writers import WindowFormat

STALL_SECONDS = 5.0
"""Seconds without audio after which the user is told."""
COMPLAINT_SECONDS = 60.0
"""Seconds between two messages about windows that were left out."""
CATCH_UP_SECONDS = 1.0
"""Seconds by which a live stream may be behind; then it leaves windows out."""


@click.command()
@click.argument("source", required=False)
@click.option("--mic", is_flag=True, help="Listen to a microphone (pip install '…[mic]').")
@click.option("--device", help="Number or name of the microphone; the system's default otherwise.")
@click.option(
    "--rate",
    type=click.IntRange(1_000, 768_000),
    help="Sample rate in Hz, of raw samples or of the microphone.",
)
@click.option(
    "--channels",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Number of channels, of raw samples or of the microphone.",
)
@click.option(
    "--sample-format",
    type=click.Choice(["s16le", "s24le", "s32le", "f32le", "u8"]),
    default="s16le",
    show_default=True,
    help="Format of raw samples.",
)
@click.option("--channel", type=click.IntRange(0), help="Channel to take; the mean otherwise.")
@click.option(
    "--window",
    type=float,
    default=STREAM_WINDOW_SECONDS,
    show_default=True,
    help="Seconds of one window.",
)
@click.option(
    "--hop",
    type=float,
    default=STREAM_HOP_SECONDS,
    show_default=True,
    help="Seconds from one window to the next.",
)
@click.option(
    "--live/--no-live",
    default=None,
    help="Leave windows out rather than fall behind. By default a source that is faster than time "
    "passes is taken for a file, and loses nothing.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["line", "jsonl", "csv"]),
    help="A line that changes (default on a terminal), JSON lines (default elsewhere), or CSV.",
)
@model_options
def stream(
    source: str | None, mic: bool, device: str | None, rate: int | None, channels: int,
    sample_format: SampleFormat, channel: int | None, window: float, hop: float, live: bool | None,
    format_: WindowFormat | None, model_settings: ModelSettings,
) -> int:  # fmt: skip
    """Recognize the emotion of live audio from SOURCE, window by window.

    SOURCE is -, for raw samples (with --rate) or a WAV on stdin, or a recording, which is read as
    fast as possible. Each window is written as soon as it is complete.

    \b
        arecord -f S16_LE -r 16000 -t raw | e2v stream - --rate 16000
        ffmpeg -i rtsp://… -f s16le -ar 16000 -ac 1 - | e2v stream - --rate 16000
    """
    from ..recognizer import Recognizer
    from ..streaming.writers import WINDOW_WRITERS

    if mic == (source is not None):
        raise click.UsageError("give a source (- is stdin), or --mic")
    check_stream_window(window, hop, model_settings.chunk_seconds)
    # Before the model is loaded, so that audio that comes meanwhile has the time of its arrival.
    if source is None:
        buffer = _microphone(device, rate, channels, live)
    elif source == "-":
        buffer = _pipe(rate, channels, sample_format, live)
    else:
        buffer = _recording(source, live)
    recognizer = Recognizer.load(**asdict(model_settings))
    opened = recognizer.stream(window=window, hop=hop, rate=buffer.rate, channel=channel)
    format_ = format_ or ("line" if sys.stdout.isatty() else "jsonl")
    if format_ != "line":
        write_utf8()
    tally = _Tally()
    try:
        with contextlib.closing(WINDOW_WRITERS[format_](sys.stdout)) as writer:
            for result in _windows(opened, buffer, hop):
                tally.add(result)  # before it is written: the reader of a window may stop us
                writer.write(result)
    finally:
        click.echo(tally.text(opened.seconds), err=True)
    return 0


def _microphone(
    device: str | None, rate: int | None, channels: int, live: bool | None
) -> CaptureBuffer:
    from ..streaming.capture import CaptureBuffer
    from ..streaming.microphone import start_microphone

    live = True if live is None else live
    return start_microphone(device, rate, channels, lambda hz: CaptureBuffer(hz, live))


def _recording(source: str, live: bool | None) -> CaptureBuffer:
    from ..audio.recording import Recording
    from ..audio.types import SAMPLE_RATE
    from ..streaming.capture import CaptureBuffer, start_blocks

    recording = Recording(source)

    def blocks() -> Iterator[Samples]:
        with recording:
            yield from recording.blocks()

    buffer = CaptureBuffer(SAMPLE_RATE, live=bool(live))
    start_blocks(blocks(), buffer)
    return buffer


def _pipe(
    rate: int | None, channels: int, sample_format: SampleFormat, live: bool | None
) -> CaptureBuffer:
    from ..audio.riff import PcmFormat, read_wav_header
    from ..streaming.capture import CaptureBuffer, start_pipe

    if sys.stdin.isatty():
        raise click.UsageError("stdin is a terminal; pipe audio into it, or use --mic")
    # Not sys.stdin: at its end Python waits for a thread that reads there, in vain, and aborts.
    pipe = open(sys.stdin.fileno(), "rb", closefd=False)  # noqa: SIM115 - the thread's
    found = read_wav_header(pipe)
    if isinstance(found, PcmFormat):
        format_, head = found, b""
    elif rate is not None:
        format_, head = PcmFormat(rate, channels, sample_format), found
    else:
        raise click.UsageError(
            "stdin is not WAV; raw samples need --rate (and --sample-format, --channels). "
            "Anything else: ffmpeg -i … -f s16le -ar 16000 -ac 1 - | e2v stream - --rate 16000"
        )
    buffer = CaptureBuffer(format_.rate, live)
    start_pipe(pipe, format_, head, buffer)
    return buffer


def _windows(stream: Stream, buffer: CaptureBuffer, hop: float) -> Iterator[StreamWindow]:
    """Windows as they are complete; tells the user, now and then, about those left out."""
    newest = max(1, math.ceil(CATCH_UP_SECONDS / hop))
    skipped, next_complaint = 0, 0.0
    while (pieces := _take(buffer)) is not None:
        for piece in pieces:
            stream.feed(piece.samples, piece.arrived)
        for window in stream.ready(newest if buffer.live else None):
            skipped += window.skipped
            if skipped and time.monotonic() >= next_complaint:
                click.echo(
                    f"e2v: {skipped} windows before {window.start:.1f} s were left out: this "
                    "machine does not keep up; give a longer --hop or a smaller model",
                    err=True,
                )
                skipped, next_complaint = 0, time.monotonic() + COMPLAINT_SECONDS
            yield window
    yield from stream.flush()


def _take(buffer: CaptureBuffer) -> list[Piece] | None:
    """Pieces that have arrived; tells the user once if none comes for long."""
    stalled = False
    while (pieces := buffer.take(STALL_SECONDS)) is not None and not pieces:
        if not stalled:
            click.echo(f"e2v: no audio for {STALL_SECONDS:g} s; waiting", err=True)
        stalled = True
    if stalled:
        click.echo("e2v: audio again" if pieces else "e2v: the audio ended", err=True)
    return pieces


class _Tally:
    """Counts of a whole stream, and the latencies of its last ten thousand windows."""

    def __init__(self) -> None:
        self.windows = self.skipped = 0
        self.latencies: deque[float] = deque(maxlen=10_000)

    def add(self, window: StreamWindow) -> None:
        self.windows += 1
        self.skipped += window.skipped
        self.latencies.append(window.latency)

    def text(self, seconds: float) -> str:
        import numpy as np

        text = f"e2v: {duration(seconds)}, {self.windows} windows, {self.skipped} left out"
        if self.latencies:
            p50, p95, p99 = 1000 * np.percentile(self.latencies, [50, 95, 99])
            text += f"; latency p50 {p50:.0f}, p95 {p95:.0f}, p99 {p99:.0f} ms"
        return text
