"""``e2v stream``: the emotion of live audio, window by window."""

from __future__ import annotations

import json
import math
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, TextIO

import click

from ..display import share_bar
from ..settings import STREAM_HOP_SECONDS, STREAM_WINDOW_SECONDS
from .options import model_options

if TYPE_CHECKING:
    from ..audio.riff import SampleFormat
    from ..settings import ModelSettings
    from ..streaming.capture import CaptureBuffer, Piece
    from ..streaming.stream import Stream, StreamWindow

STALL_SECONDS = 5.0
COMPLAINT_SECONDS = 60.0
CATCH_UP_SECONDS = 1.0
"""A live stream that is further behind than this leaves windows out."""


@click.command()
@click.argument("source", required=False)
@click.option("--mic", is_flag=True, help="Listen to a microphone (pip install '…[mic]').")
@click.option("--device", help="Number or name of the microphone; the system's default otherwise.")
@click.option(
    "--rate", type=click.IntRange(1_000, 768_000), help="Hz, of raw samples or of the microphone."
)
@click.option(
    "--channels",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Of raw samples or of the microphone.",
)
@click.option(
    "--sample-format",
    type=click.Choice(["s16le", "s24le", "s32le", "f32le", "u8"]),
    default="s16le",
    show_default=True,
    help="Of raw samples.",
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
    help="Leave windows out rather than fall behind; found out otherwise: a source that is faster "
    "than time passes is a file.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["line", "jsonl", "csv"]),
    help="A line that changes (on a terminal), JSON lines (elsewhere), or CSV.",
)
@model_options
def stream(
    source: str | None, mic: bool, device: str | None, rate: int | None, channels: int,
    sample_format: SampleFormat, channel: int | None, window: float, hop: float, live: bool | None,
    format_: str | None, model_settings: ModelSettings,
) -> int:  # fmt: skip
    """Recognize the emotion of live audio from SOURCE, window by window.

    SOURCE is -, for raw samples (with --rate) or a WAV on stdin, or a recording, played as fast as
    it goes. Each window is told as soon as it is complete.

    \b
        arecord -f S16_LE -r 16000 -t raw | e2v stream - --rate 16000
        ffmpeg -i rtsp://… -f s16le -ar 16000 -ac 1 - | e2v stream - --rate 16000
    """
    from ..recognizer import Recognizer

    if mic == (source is not None):
        raise click.UsageError("give a source (- is stdin), or --mic")
    # Audio is taken in from here on, so that what comes while the model loads is on time.
    arrivals = _arrivals(source, device, rate, channels, sample_format, live)
    recognizer = Recognizer.load(**asdict(model_settings))
    opened = recognizer.stream(window=window, hop=hop, rate=arrivals.rate, channel=channel)
    format_ = format_ or ("line" if sys.stdout.isatty() else "jsonl")
    tell = {"line": _LineTeller, "jsonl": _Teller, "csv": _CsvTeller}[format_](sys.stdout)
    tally = _Tally()
    try:
        for result in _windows(opened, arrivals, hop):
            tally.add(result)  # first: who reads a window may stop us at once
            tell(result)
    finally:
        if format_ == "line":
            click.echo()
        click.echo(tally.text(opened.seconds), err=True)
    return 0


def _arrivals(
    source: str | None, device: str | None, rate: int | None, channels: int,
    sample_format: SampleFormat, live: bool | None,
) -> CaptureBuffer:  # fmt: skip
    from ..audio.recording import Recording
    from ..audio.riff import PcmFormat, read_wav_header
    from ..audio.types import SAMPLE_RATE
    from ..streaming.capture import CaptureBuffer, start_blocks, start_pipe
    from ..streaming.microphone import start_microphone

    if source is None:
        live = True if live is None else live
        return start_microphone(device, rate, channels, lambda hz: CaptureBuffer(hz, live))
    if source != "-":
        arrivals = CaptureBuffer(SAMPLE_RATE, live=bool(live))
        start_blocks(Recording(source).blocks(), arrivals)
        return arrivals
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
    arrivals = CaptureBuffer(format_.rate, live)
    start_pipe(pipe, format_, head, arrivals)
    return arrivals


def _windows(stream: Stream, arrivals: CaptureBuffer, hop: float) -> Iterator[StreamWindow]:
    """Windows as they ripen; while nothing comes, say so once."""
    newest = max(1, math.ceil(CATCH_UP_SECONDS / hop))
    skipped, next_complaint = 0, 0.0
    while (pieces := _take(arrivals)) is not None:
        for piece in pieces:
            stream.feed(piece.samples, piece.arrived)
        for window in stream.ripe(newest if arrivals.live else None):
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


def _take(arrivals: CaptureBuffer) -> list[Piece] | None:
    stalled = False
    while (pieces := arrivals.take(STALL_SECONDS)) is not None and not pieces:
        if not stalled:
            click.echo(f"e2v: no audio for {STALL_SECONDS:g} s; waiting", err=True)
        stalled = True
    if stalled:
        click.echo("e2v: audio again" if pieces else "e2v: the audio ended", err=True)
    return pieces


class _Teller:
    """JSON lines, each flushed at once."""

    def __init__(self, out: TextIO) -> None:
        self.out = out

    def __call__(self, window: StreamWindow) -> None:
        self.out.write(self.text(window))
        self.out.flush()

    def text(self, window: StreamWindow) -> str:
        return json.dumps(window.to_dict(), ensure_ascii=False, allow_nan=False) + "\n"


class _CsvTeller(_Teller):
    """A header, and a row a window."""

    begun = False

    def text(self, window: StreamWindow) -> str:
        from ..results.writers.base import csv_row

        header = [] if self.begun else ["start", "end", "emotion", "confidence", *window.scores,
                                        "silent", "skipped", "latency"]  # fmt: skip
        self.begun = True
        scores = [f"{score:.6f}" for score in window.scores.values()]
        row = [f"{window.start:.3f}", f"{window.end:.3f}", window.emotion,
               f"{window.confidence:.6f}", *scores, window.silent, window.skipped,
               f"{window.latency:.4f}"]  # fmt: skip
        return (csv_row(header) if header else "") + csv_row(row)


class _LineTeller(_Teller):
    """One line of a terminal, which changes."""

    def text(self, window: StreamWindow) -> str:
        if window.silent:
            shown = "(silence)"
        else:
            ranked = sorted(window.scores.items(), key=lambda item: -item[1])[:3]
            others = ", ".join(f"{label} {score:.0%}" for label, score in ranked[1:])
            bar = share_bar(window.confidence, 20, self.out)
            shown = f"{window.emotion:<10} {window.confidence:4.0%} {bar:<20} ({others})"
        return f"\r\x1b[K{window.end:8.1f} s  {shown}"


class _Tally:
    """What is told at the end; of the latencies, the last ten thousand."""

    def __init__(self) -> None:
        self.windows = self.skipped = 0
        self.latencies: deque[float] = deque(maxlen=10_000)

    def add(self, window: StreamWindow) -> None:
        self.windows += 1
        self.skipped += window.skipped
        self.latencies.append(window.latency)

    def text(self, seconds: float) -> str:
        import numpy as np

        text = f"e2v: {seconds:.1f} s, {self.windows} windows, {self.skipped} left out"
        if self.latencies:
            p50, p95, p99 = 1000 * np.percentile(self.latencies, [50, 95, 99])
            text += f"; latency p50 {p50:.0f}, p95 {p95:.0f}, p99 {p99:.0f} ms"
        return text
