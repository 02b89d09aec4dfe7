"""``e2v recognize``: the emotion of recordings, with one encoder pass for each."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from ..errors import E2VError
from ..results.writers.formats import FORMATS, SEGMENT_FORMATS
from ..settings import TURN_DETECTIONS
from . import fail
from .options import (
    baseline_option,
    check_segments,
    intake_options,
    model_options,
    output_option,
    report_options,
    segment_options,
    speech_only_option,
)
from .progress import RecordingProgress
from .stdio import write_utf8

if TYPE_CHECKING:
    from ..recognizer import Recognizer
    from ..results.embeddings import EmbeddingFolder
    from ..results.encoding import Encoding
    from ..results.report import Report, TurnReport
    from ..results.types import Conversation
    from ..results.writers.formats import Format
    from ..settings import IntakeSettings, ModelSettings, ReportSettings, SegmentSettings


@click.command()
@click.argument("audio", nargs=-1)
@click.option("--examples", is_flag=True, help="Recognize the recordings that come with e2v.")
@click.option(
    "--turns",
    metavar="vad|channels|FILE",
    help="The emotion of each turn, encoded alone. vad: segments of speech; channels: those of "
    "each channel, one speaker each; FILE: the turns of one recording, as RTTM, CTM, SRT, WebVTT, "
    "TextGrid, Audacity labels, or JSON of WhisperX or FunASR.",
)
@baseline_option
@speech_only_option
@segment_options
@report_options
@click.option(
    "--embedding",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Save the embedding of each recording there, or those of its turns, as .npy.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="Output format. The last five hold the timeline of one recording.",
)
@output_option
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the timeline of one recording, or its turns by speaker: .png, .svg or .pdf.",
)
@intake_options
@model_options
def recognize(
    audio: tuple[str, ...], examples: bool, turns: str | None, baseline: bool, speech_only: bool,
    segment_settings: SegmentSettings, report_settings: ReportSettings, embedding: Path | None,
    format_: Format, output: Path | None, plot: Path | None,
    intake_settings: IntakeSettings, model_settings: ModelSettings,
) -> int:  # fmt: skip
    """Recognize the emotion in AUDIO files; - reads one from stdin.

    WAV, FLAC, OGG, Opus, MP3, M4A, WebM, MP4, AMR and whatever else FFmpeg reads, at any rate,
    of any length and with any number of channels. A file that cannot be used is reported, and the
    others go on. For whole folders there is e2v batch.
    """
    from .. import example_recordings
    from ..files import printable
    from ..recognizer import Recognizer
    from ..results.embeddings import EmbeddingFolder
    from ..results.plot import check_plot
    from ..results.writers.registry import WRITERS

    files = [*audio, *(str(path) for path in example_recordings() if examples)]
    _check_files(files, format_, plot)
    wanted = _Wanted(
        turns, baseline, speech_only, segment_settings, intake_settings, embedding is not None
    )
    _check_wanted(wanted, files, report_settings)
    if format_ in SEGMENT_FORMATS:
        report_settings = replace(report_settings, granularity="frame")
    if plot is not None:
        check_plot(plot)
    recognizer = Recognizer.load(**asdict(model_settings))
    embeddings = None if embedding is None else EmbeddingFolder(embedding)
    failures: list[int] = []
    with _destination(output, format_) as out:
        writer = WRITERS[format_](out, several=len(files) > 1)
        with contextlib.closing(writer):
            for file in files:
                try:
                    result = _recognized(recognizer, file, wanted)
                except E2VError as error:
                    failures.append(fail(error))
                    continue
                writer.write(_report(result, file, report_settings, embeddings))
                if plot is not None:
                    _draw(result, plot, report_settings, printable(file))
    if not failures:
        return 0
    return failures[0] if len(failures) == len(files) else 1


def _report(
    result: Encoding | Conversation,
    file: str,
    settings: ReportSettings,
    folder: EmbeddingFolder | None,
) -> Report | TurnReport:
    """The report on a recording, whose embeddings are saved where they are asked for."""
    from ..files import printable
    from ..results.report import Report, TurnReport
    from ..results.types import Conversation

    if isinstance(result, Conversation):
        saved = None if folder is None else folder.save(_name(file), result.embeddings())
        return TurnReport(printable(file), result, saved)
    saved = None if folder is None else folder.save(_name(file), result.embedding())
    return Report.of(result, printable(file), settings, saved)


def _check_files(files: list[str], format_: Format, plot: Path | None) -> None:
    if not files:
        raise click.UsageError("no audio: give files, - for stdin, or --examples")
    if len(files) > 1 and (format_ in SEGMENT_FORMATS or plot is not None):
        option = f"--format {format_}" if format_ in SEGMENT_FORMATS else "--plot"
        raise click.UsageError(
            f"{option} is of one recording, and {len(files)} were given; for several there is "
            "e2v batch --format"
        )


@dataclass(frozen=True)
class _Wanted:
    """The options that decide how a recording is encoded."""

    turns: str | None
    """A way to find turns, or a file of them; None for whole recordings."""
    baseline: bool
    speech_only: bool
    segments: SegmentSettings
    intake: IntakeSettings
    embeddings: bool


def _check_wanted(wanted: _Wanted, files: list[str], settings: ReportSettings) -> None:
    turns = wanted.turns
    check_segments(wanted.segments, detected=wanted.speech_only or turns in TURN_DETECTIONS)
    if wanted.baseline and turns in (None, "vad"):
        raise click.UsageError(
            "--baseline is of speakers; give --turns channels, or a file of turns with speakers"
        )
    if turns is None:
        return
    if turns not in TURN_DETECTIONS and not Path(turns).suffix:
        raise click.UsageError(f"--turns {turns}: give vad, channels, or a file of turns")
    if len(files) > 1 and turns not in TURN_DETECTIONS:
        raise click.UsageError(
            f"--turns {turns} is of one recording, and {len(files)} were given; vad and channels "
            "are for any number"
        )
    unfit = ["--speech-only"] if wanted.speech_only else []
    if settings.granularity != "utterance":
        unfit.append("--granularity frame")
    if unfit:
        raise click.UsageError(f"{unfit[0]} is of a whole recording, and --turns of its turns")


def _name(file: str) -> str:
    """Name of a recording without its folder."""
    return "stdin" if file == "-" else Path(file).name


def _recognized(recognizer: Recognizer, file: str, wanted: _Wanted) -> Encoding | Conversation:
    """Encode a recording or its turns, and show the progress."""
    source = sys.stdin.buffer if file == "-" else file
    with RecordingProgress(_name(file)) as progress:
        if wanted.turns is None:
            speech = wanted.segments if wanted.speech_only else False
            return recognizer.encode(
                source, speech_only=speech, progress=progress, **asdict(wanted.intake)
            )
        return recognizer.turns(
            source,
            None if wanted.turns in TURN_DETECTIONS else wanted.turns,
            by_channel=wanted.turns == "channels",
            segments=wanted.segments,
            baseline=wanted.baseline,
            embeddings=wanted.embeddings,
            progress=progress,
            **asdict(wanted.intake),
        )


def _draw(
    result: Encoding | Conversation, plot: Path, settings: ReportSettings, title: str
) -> None:
    from ..results.plot import plot_timeline, plot_turns
    from ..results.types import Conversation

    if isinstance(result, Conversation):
        plot_turns(result, plot, title)
    else:
        plot_timeline(result, plot, settings.window, settings.hop, title)


@contextlib.contextmanager
def _destination(output: Path | None, format_: Format) -> Iterator[TextIO]:
    """Open stdout or the output file, which keeps the reports that it has when interrupted."""
    from ..files import atomic_text

    if output is not None and str(output) != "-":
        with atomic_text(output, keep_partial=True) as out:
            yield out
        return
    if format_ != "table":
        write_utf8()
    yield sys.stdout
