"""``e2v stream``: the emotion of live audio, window by window."""

from __future__ import annotations

import contextlib
import sys
from collections import deque
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

import click

from ..display import duration
from ..settings import STREAM_HOP_SECONDS, STREAM_WINDOW_SECONDS, check_stream_window
from .options import check_segments, model_options, segment_options, source_options
from .stdio import write_utf8

if TYPE_CHECKING:
    from ..settings import ModelSettings, SegmentSettings, SourceSettings
    from ..streaming.events import StreamEvent
    from ..streaming.stream import Stream, StreamWindow
    from ..streaming.utterances import TurnStream
    from ..streaming.writers import WindowFormat


@click.command()
@click.argument("source", required=False, envvar="E2V_SOURCE")
@source_options
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
    "--turns",
    type=click.Choice(["vad"]),
    help="Tell of utterances too, beside the windows: when one starts, and its emotion as soon as "
    "it has ended (pip install '…[vad]').",
)
@segment_options
@click.option(
    "--format",
    "format_",
    type=click.Choice(["line", "jsonl", "csv"]),
    help="A line that changes (default on a terminal), JSON lines (default elsewhere), or CSV.",
)
@model_options
def stream(
    source: str | None, source_settings: SourceSettings, window: float, hop: float,
    turns: Literal["vad"] | None, segment_settings: SegmentSettings,
    format_: WindowFormat | None, model_settings: ModelSettings,
) -> int:  # fmt: skip
    """Recognize the emotion of live audio from SOURCE, window by window.

    SOURCE is -, for raw samples (with --rate) or a WAV on stdin; an address (rtsp://, rtsps://,
    http://, https://) or an ALSA device (alsa:hw:1), which is opened again whenever its audio
    stops; or a recording, which is read as fast as possible, and with --follow as it grows. It may
    also be given as E2V_SOURCE, so that no list of processes shows its password. Each window is
    written as soon as it is complete, each utterance as soon as it has ended.

    \b
        e2v stream rtsp://camera.local/live
        arecord -f S16_LE -r 16000 -t raw | e2v stream - --rate 16000
        ffmpeg -i rtmp://… -f s16le -ar 16000 -ac 1 - | e2v stream - --rate 16000
    """
    from ..recognizer import Recognizer
    from ..streaming.events import StreamEvent
    from ..streaming.live import live_results
    from ..streaming.opening import open_source
    from ..streaming.utterances import UtteranceEnd, UtteranceStart
    from ..streaming.writers import WINDOW_WRITERS

    check_stream_window(window, hop, model_settings.chunk_seconds)
    check_segments(segment_settings, detected=turns is not None, by="--turns vad")
    # Before the model is loaded, so that audio that comes meanwhile has the time of its arrival.
    buffer = open_source(source, source_settings)
    recognizer = Recognizer.load(**asdict(model_settings))
    channel = buffer.channel
    opened: Stream | TurnStream
    if turns is None:
        opened = recognizer.stream(window=window, hop=hop, rate=buffer.rate, channel=channel)
    else:
        opened = recognizer.stream(
            window=window, hop=hop, rate=buffer.rate, channel=channel, turns=turns,
            segments=segment_settings,
        )  # fmt: skip
    format_ = format_ or ("line" if sys.stdout.isatty() else "jsonl")
    if format_ != "line":
        write_utf8()
    tally = _Tally()
    try:
        with contextlib.closing(WINDOW_WRITERS[format_](sys.stdout)) as writer:
            for result in live_results(opened, buffer, hop, _tell):
                tally.add(result)  # before it is written: the reader of a result may stop us
                if not isinstance(result, StreamEvent):
                    writer.write(result)
                    continue
                writer.write_event(result)
                if not isinstance(result, UtteranceStart | UtteranceEnd):
                    _tell(result.text())
    finally:
        buffer.close()
        _tell(tally.text(opened.seconds))
    return 0


def _tell(message: str) -> None:
    click.echo(f"e2v: {message}", err=True)


class _Tally:
    """Counts of a whole stream, and the latencies of its last ten thousand windows."""

    def __init__(self) -> None:
        self.windows = self.skipped = self.utterances = 0
        self.latencies: deque[float] = deque(maxlen=10_000)

    def add(self, result: StreamWindow | StreamEvent) -> None:
        from ..streaming.stream import StreamWindow
        from ..streaming.utterances import UtteranceEnd

        if isinstance(result, StreamWindow):
            self.windows += 1
            self.skipped += result.skipped
            self.latencies.append(result.latency)
        elif isinstance(result, UtteranceEnd):
            self.utterances += 1

    def text(self, seconds: float) -> str:
        import numpy as np

        text = f"{duration(seconds)}, {self.windows} windows, {self.skipped} left out"
        if self.utterances:
            text += f", {self.utterances} utterances"
        if self.latencies:
            p50, p95, p99 = 1000 * np.percentile(self.latencies, [50, 95, 99])
            text += f"; latency p50 {p50:.0f}, p95 {p95:.0f}, p99 {p99:.0f} ms"
        return text
