"""``e2v stream``: the emotion of live audio, window by window."""

from __future__ import annotations

import contextlib
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from ..display import duration
from ..settings import (
    STREAM_HOP_SECONDS,
    STREAM_WINDOW_SECONDS,
    check_stream_window,
)
from ..sinks.settings import SinkSettings
from .options import check_segments, grouped, model_options, segment_options, source_options
from .stdio import write_utf8

if TYPE_CHECKING:
    from ..alerts.rules import Rule, Watch
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
@grouped(
    "sink_settings",
    SinkSettings,
    click.option(
        "--mqtt",
        metavar="URL",
        envvar="E2V_MQTT",
        help="Publish to a broker: mqtt://[user:password@]host[:port][/topic], or mqtts://… "
        "(pip install '…[mqtt]').",
    ),
    click.option(
        "--mqtt-qos",
        type=click.IntRange(0, 2),
        default=SinkSettings.mqtt_qos,
        show_default=True,
        help="Quality of service of MQTT.",
    ),
    click.option(
        "--mqtt-ca",
        type=click.Path(path_type=Path),
        help="Certificates to verify the broker's with; the system's by default.",
    ),
    click.option(
        "--mqtt-cert", type=click.Path(path_type=Path), help="Certificate of this client."
    ),
    click.option("--mqtt-key", type=click.Path(path_type=Path), help="Key of that certificate."),
    click.option(
        "--discovery",
        metavar="PREFIX",
        help="Announce the source to Home Assistant, below this prefix: homeassistant.",
    ),
    click.option(
        "--webhook",
        metavar="URL",
        envvar="E2V_WEBHOOK",
        help="Post events to this address, signed with the secret.",
    ),
    click.option(
        "--webhook-secret",
        type=click.Path(path_type=Path),
        help="File of the secret; $E2V_WEBHOOK_SECRET holds it otherwise.",
    ),
    click.option("--webhook-windows", is_flag=True, help="Post windows too."),
)
@click.option(
    "--rules",
    type=click.Path(path_type=Path),
    help="File of alert rules (TOML), whose alerts are written beside the windows.",
)
@click.option(
    "--check-rules",
    is_flag=True,
    help="Explain in place of the windows what the rules do on SOURCE; without one, what they say.",
)
@model_options
def stream(
    source: str | None, source_settings: SourceSettings, window: float, hop: float,
    turns: Literal["vad"] | None, segment_settings: SegmentSettings,
    format_: WindowFormat | None, sink_settings: SinkSettings, rules: Path | None,
    check_rules: bool, model_settings: ModelSettings,
) -> int:  # fmt: skip
    """Recognize the emotion of live audio from SOURCE, window by window.

    SOURCE is -, for raw samples (with --rate) or a WAV on stdin; an address (rtsp://, rtsps://,
    http://, https://) or a sound device (alsa:hw:1, pulse:default), which is opened again whenever
    its audio stops; or a recording, which is read as fast as possible, and with --follow as it
    grows. It may also be given as E2V_SOURCE, so that no list of processes shows its password. Each
    window is written as soon as it is complete, each utterance as soon as it has ended.

    \b
        e2v stream rtsp://camera.local/live
        arecord -f S16_LE -r 16000 -t raw | e2v stream - --rate 16000
        ffmpeg -i rtmp://… -f s16le -ar 16000 -ac 1 - | e2v stream - --rate 16000
    """
    from ..alerts.document import read_rules
    from ..recognizer import Recognizer
    from ..streaming.live import live_results
    from ..streaming.sources.opening import open_source
    from ..systemd import Watchdog

    check_stream_window(window, hop, model_settings.chunk_seconds)
    check_segments(segment_settings, detected=turns is not None, by="--turns vad")
    if check_rules and rules is None:
        raise click.UsageError("--check-rules explains the rules of --rules FILE")
    known = read_rules(rules) if rules is not None else ()
    if check_rules and source is None and not source_settings.mic:
        click.echo("\n".join(rule.text() for rule in known))
        return 0
    # Before the model is loaded, so that audio that comes meanwhile has the time of its arrival.
    buffer = open_source(source, source_settings)
    recognizer = Recognizer.load(**asdict(model_settings))
    opened: Stream | TurnStream
    if turns is None:
        opened = recognizer.stream(window=window, hop=hop, rate=buffer.rate, channel=buffer.channel)
    else:
        opened = recognizer.stream(
            window=window, hop=hop, rate=buffer.rate, channel=buffer.channel, turns=turns,
            segments=segment_settings,
        )  # fmt: skip
    watch = _watch(known, buffer.name, opened)
    alive = Watchdog().touch
    tally = _Tally()
    results = tally.counted(live_results(opened, buffer, hop, _tell, alive))
    try:
        with contextlib.closing(buffer):
            if check_rules:
                _explain(results, watch, opened)
            else:
                _write(results, format_, sink_settings, watch, buffer.name, opened)
    finally:
        _tell(tally.text(opened.seconds))
    return 0


def _watch(rules: Sequence[Rule], source: str, opened: Stream | TurnStream) -> Watch:
    """The rules that are for this source; tells the user if none is."""
    from ..alerts.rules import Watch, rules_for

    own = rules_for(rules, source)
    if rules and not own:
        _tell(f"no rule is for the source {source!r}; --name gives it another name")
    return Watch(own, opened.labels)


def _explain(
    results: Iterator[StreamWindow | StreamEvent], watch: Watch, opened: Stream | TurnStream
) -> None:
    from ..alerts.explain import Explanation

    explanation = Explanation(watch.states)
    try:
        for result in results:
            explanation.add(result, list(watch.feed(result)))
    finally:
        explanation.add_steps(list(watch.end(opened.seconds)))
        click.echo(explanation.text(), nl=False)


def _write(
    results: Iterator[StreamWindow | StreamEvent], format_: WindowFormat | None,
    sink_settings: SinkSettings, watch: Watch, source: str, opened: Stream | TurnStream,
) -> None:  # fmt: skip
    from ..sinks.opening import open_sinks
    from ..sinks.outputs import Outputs
    from ..streaming.writers import WINDOW_WRITERS
    from ..systemd import notify

    format_ = format_ or ("line" if sys.stdout.isatty() else "jsonl")
    if format_ != "line":
        write_utf8()
    boxes = open_sinks(sink_settings, source, [state.rule for state in watch.states], _tell)
    notify("READY=1")
    with contextlib.ExitStack() as stack:
        stack.callback(notify, "STOPPING=1")
        writer = stack.enter_context(contextlib.closing(WINDOW_WRITERS[format_](sys.stdout)))
        outputs = Outputs(writer, boxes, watch, source, _tell)
        stack.callback(lambda: outputs.end(opened.seconds))
        for result in results:
            outputs.put(result)


def _tell(message: str) -> None:
    click.echo(f"e2v: {message}", err=True)


class _Tally:
    """Counts of a whole stream, and the latencies of its last ten thousand windows."""

    def __init__(self) -> None:
        self.windows = self.skipped = self.utterances = 0
        self.latencies: deque[float] = deque(maxlen=10_000)

    def counted(
        self, results: Iterator[StreamWindow | StreamEvent]
    ) -> Iterator[StreamWindow | StreamEvent]:
        """The results, each counted before it is written: the reader of one may stop us."""
        for result in results:
            self._add(result)
            yield result

    def _add(self, result: StreamWindow | StreamEvent) -> None:
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
