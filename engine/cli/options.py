"""Options that several verbs share, each group as one value."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from ..settings import (
    CHUNK_SECONDS,
    CONTEXT_SECONDS,
    HOP_SECONDS,
    LEAST_SILENCE,
    LEAST_SPEECH,
    LONGEST_SPEECH,
    PRECISIONS,
    PROVIDER_NAMES,
    SEGMENT_SECONDS,
    SPEECH_PADDING,
    SPEECH_THRESHOLD,
    TOP,
    WINDOW_SECONDS,
    ClusterSettings,
    Granularity,
    IntakeSettings,
    ModelSettings,
    ReportSettings,
    SampleFormat,
    SegmentSettings,
    SourceSettings,
)

F = TypeVar("F", bound=Callable[..., Any])


def grouped(name: str, group: type, *options: Callable[[F], F]) -> Callable[[F], F]:
    """Add options to a command, which takes their values as one ``group`` under ``name``."""

    def decorate(command: F) -> F:
        @functools.wraps(command)
        def collected(**values: Any) -> Any:
            own = {field.name: values.pop(field.name) for field in fields(group)}
            return command(**{name: group(**own)}, **values)

        for option in reversed(options):
            collected = option(collected)
        return collected  # type: ignore[return-value]

    return decorate


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise click.BadParameter(f"{text!r} is not of the form KEY=VALUE")
    return key, value


def _labels(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(label.strip() for label in text.split(","))


def auto_option(name: str, choices: Sequence[str], text: str) -> Callable[[F], F]:
    """An option that is one of some choices, or ``auto`` by default."""
    choice = click.Choice(["auto", *choices])
    return click.option(name, type=choice, default="auto", show_default=True, help=text)


offline_option = click.option(
    "--offline",
    is_flag=True,
    help="Take a model of the hub from the cache of this machine only; no network.",
)


model_options = grouped(
    "model_settings",
    ModelSettings,
    click.option(
        "--model",
        help="Path or name of a bundle, or hf://owner/name[@revision]; $E2V_MODEL or the embedded "
        "one by default.",
    ),
    offline_option,
    auto_option(
        "--provider",
        PROVIDER_NAMES,
        "The execution provider; auto takes the first of tensorrt, cuda and cpu that serves.",
    ),
    click.option(
        "--provider-option",
        "provider_options",
        multiple=True,
        metavar="KEY=VALUE",
        callback=lambda _context, _parameter, values: dict(map(_pair, values)),
        help="Option of the named provider, by its name in ONNX Runtime: device_id=1.",
    ),
    auto_option(
        "--precision",
        PRECISIONS,
        "Number format of the weights; auto takes the best one that suits the provider.",
    ),
    click.option("--threads", type=int, help="Processors to use; by default all that are free."),
    click.option(
        "--chunk-seconds",
        type=float,
        default=CHUNK_SECONDS,
        show_default=True,
        help="Seconds of the longest stretch that is encoded at once.",
    ),
    click.option(
        "--context-seconds",
        type=float,
        default=CONTEXT_SECONDS,
        show_default=True,
        help="Seconds of context on each side of a chunk of longer audio.",
    ),
    click.option(
        "--reject-below",
        type=float,
        default=0.0,
        show_default=True,
        metavar="P",
        help="Answer unknown where the confidence is under P.",
    ),
    click.option(
        "--labels",
        metavar="LABEL,…",
        callback=lambda _context, _parameter, value: _labels(value),
        help="Answer with these labels alone, whose probabilities then sum to 1.",
    ),
)


intake_options = grouped(
    "intake_settings",
    IntakeSettings,
    click.option(
        "--channel",
        type=click.IntRange(0),
        help="Channel to take, from 0; the mean of all otherwise.",
    ),
    click.option(
        "--max-seconds", type=float, help="Refuse recordings that are longer, in seconds."
    ),
    click.option("--cut", is_flag=True, help="Take the first --max-seconds of those instead."),
)


cluster_options = grouped(
    "cluster_settings",
    ClusterSettings,
    click.option(
        "--on",
        metavar="ray[://HOST:PORT]",
        help="Work on a Ray cluster: the one that this machine belongs to, or by its head's client "
        "server.",
    ),
    click.option(
        "--workers",
        type=click.IntRange(1),
        help="Number of workers on the cluster; as many as it has room for by default. Each takes "
        "--threads CPUs, one by default.",
    ),
    click.option(
        "--gpus-per-worker",
        type=click.FloatRange(0),
        default=0.0,
        help="GPUs of each worker; 0.25 lets four share one.",
    ),
)


source_options = grouped(
    "source_settings",
    SourceSettings,
    click.option("--name", help="Name of the source in rules and outputs."),
    click.option("--mic", is_flag=True, help="Listen to a microphone (pip install '…[mic]')."),
    click.option(
        "--device", help="Number or name of the microphone; the system's default otherwise."
    ),
    click.option(
        "--rate",
        type=click.IntRange(1_000, 768_000),
        help="Sample rate in Hz, of raw samples or of the microphone.",
    ),
    click.option(
        "--channels",
        type=click.IntRange(1, 64),
        default=1,
        show_default=True,
        help="Number of channels, of raw samples or of the microphone.",
    ),
    click.option(
        "--sample-format",
        type=click.Choice(get_args(SampleFormat)),
        default="s16le",
        show_default=True,
        help="Format of raw samples.",
    ),
    click.option("--channel", type=click.IntRange(0), help="Channel to take; the mean otherwise."),
    click.option(
        "--follow", is_flag=True, help="Wait for more of a recording that grows, until Ctrl-C."
    ),
    click.option(
        "--source-option",
        "options",
        multiple=True,
        metavar="KEY=VALUE",
        callback=lambda _context, _parameter, values: dict(map(_pair, values)),
        help="Option of an address or a device, by its name in FFmpeg: rtsp_transport=udp.",
    ),
    click.option(
        "--live/--no-live",
        default=None,
        help="Leave windows out rather than fall behind. By default a source that is faster than "
        "time passes is taken for a file, and loses nothing.",
    ),
)


report_options = grouped(
    "report_settings",
    ReportSettings,
    click.option(
        "--granularity",
        type=click.Choice(get_args(Granularity)),
        default="utterance",
        show_default=True,
        help="One emotion a recording, or also one a window.",
    ),
    click.option(
        "--window",
        type=float,
        default=WINDOW_SECONDS,
        show_default=True,
        help="Seconds of one window of the timeline.",
    ),
    click.option(
        "--hop",
        type=float,
        default=HOP_SECONDS,
        show_default=True,
        help="Seconds from one window to the next.",
    ),
    click.option(
        "--top",
        type=click.IntRange(1),
        default=TOP,
        show_default=True,
        help="Number of emotions listed, best first.",
    ),
    click.option(
        "--min-segment",
        type=float,
        default=SEGMENT_SECONDS,
        show_default=True,
        help="Seconds of the shortest segment, in the formats that have segments.",
    ),
)

segment_options = grouped(
    "segment_settings",
    SegmentSettings,
    click.option(
        "--vad-threshold",
        "threshold",
        type=float,
        default=SPEECH_THRESHOLD,
        show_default=True,
        metavar="P",
        help="Probability of speech from which a segment of speech begins.",
    ),
    click.option(
        "--min-speech",
        type=float,
        default=LEAST_SPEECH,
        show_default=True,
        help="Seconds of the shortest segment of speech; shorter ones are left out.",
    ),
    click.option(
        "--min-silence",
        type=float,
        default=LEAST_SILENCE,
        show_default=True,
        help="Seconds of a pause that ends a segment of speech.",
    ),
    click.option(
        "--padding",
        type=float,
        default=SPEECH_PADDING,
        show_default=True,
        help="Seconds added on both sides of a segment of speech.",
    ),
    click.option(
        "--max-speech",
        type=float,
        default=LONGEST_SPEECH,
        show_default=True,
        help="Seconds of the longest segment of speech; it is cut at its quietest place.",
    ),
)


baseline_option = click.option(
    "--baseline",
    is_flag=True,
    help="Subtract each speaker's own level from his turns, where speakers are known.",
)
speech_only_option = click.option(
    "--speech-only",
    is_flag=True,
    help="Pool speech alone; a recording without speech is unknown (pip install '…[vad]').",
)


def check_segments(
    settings: SegmentSettings, *, detected: bool, by: str = "--turns and --speech-only"
) -> None:
    """Refuse rules for speech where no speech is detected: they would say nothing.

    Args:
        settings: the rules.
        detected: True if a detector finds speech.
        by: options that make it do so, for the message.

    Raises:
        UsageError: a rule was given in vain.
    """
    if not detected and settings != SegmentSettings():
        raise click.UsageError(
            "--vad-threshold, --min-speech, --min-silence, --padding and --max-speech are rules "
            f"for {by}"
        )


output_option = click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write results to a file.",
)
