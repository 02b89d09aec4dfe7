"""``e2v recognize``: the emotion of recordings, one encoder pass each."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from ..results.writers.formats import FORMATS
from . import fail
from .options import intake_options, model_options, output_option, report_options
from .progress import RecordingProgress

if TYPE_CHECKING:
    from ..results.encoding import Encoding
    from ..results.writers.formats import Format
    from ..settings import IntakeSettings, ModelSettings, ReportSettings


@click.command()
@click.argument("audio", nargs=-1)
@click.option("--examples", is_flag=True, help="Recognize the recordings that come with e2v.")
@report_options
@click.option(
    "--embedding",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Save the embedding of each recording there, as .npy.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    help="Output format; a table by default. The last five hold the timeline of one recording.",
)
@output_option
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the timeline of one recording: .png, .svg or .pdf.",
)
@intake_options
@model_options
def recognize(
    audio: tuple[str, ...], examples: bool, report_settings: ReportSettings,
    embedding: Path | None, format_: Format | None, output: Path | None, plot: Path | None,
    intake_settings: IntakeSettings, model_settings: ModelSettings,
) -> int:  # fmt: skip
    """Recognize the emotion in AUDIO files; - reads one from stdin.

    WAV, FLAC, OGG, Opus, MP3, M4A, WebM, MP4, AMR and whatever else FFmpeg reads, at any rate,
    of any length and with any number of channels. A file that cannot be used is reported, and the
    others go on. For whole folders there is e2v batch.
    """
    from .. import example_recordings
    from ..errors import AudioError, OptionError, ProviderError
    from ..files import printable
    from ..recognizer import Recognizer
    from ..results.plot import check_plot, plot_timeline
    from ..results.report import Report
    from ..results.writers.registry import SEGMENT_WRITERS, WRITERS

    files = [*audio, *(str(path) for path in example_recordings() if examples)]
    if not files:
        raise click.UsageError("no audio: give files, - for stdin, or --examples")
    format_ = format_ or "table"
    if format_ in SEGMENT_WRITERS:
        report_settings = dataclasses.replace(report_settings, granularity="frame")
    if len(files) > 1 and (format_ in SEGMENT_WRITERS or plot is not None):
        what = f"--format {format_}" if format_ in SEGMENT_WRITERS else "--plot"
        raise click.UsageError(
            f"{what} is of one recording, and {len(files)} were given; for several there is "
            "e2v batch --format"
        )
    if plot is not None:
        check_plot(plot)

    recognizer = Recognizer.load(**dataclasses.asdict(model_settings))
    saver = _EmbeddingSaver(embedding) if embedding is not None else None
    failures: list[int] = []
    with _destination(output) as out:
        writer = WRITERS[format_](out, several=len(files) > 1)
        try:
            for file in files:
                try:
                    with RecordingProgress(Path(file).name) as progress:
                        encoding = recognizer.encode(
                            sys.stdin.buffer if file == "-" else file,
                            progress=progress,
                            **dataclasses.asdict(intake_settings),
                        )
                except (AudioError, OptionError, ProviderError) as error:
                    failures.append(fail(error))
                    continue
                window, hop = report_settings.window, report_settings.hop
                saved = saver.save(file, encoding) if saver is not None else None
                report = Report.of(encoding, printable(file), report_settings, saved)
                writer.write(report)
                if plot is not None:
                    plot_timeline(encoding, plot, window, hop, report.file)
        finally:
            writer.close()
    if not failures:
        return 0
    return failures[0] if len(failures) == len(files) else 1


class _EmbeddingSaver:
    """Saves embeddings under the names of their recordings, without overwriting one another."""

    def __init__(self, folder: Path) -> None:
        from ..files import reported

        self.folder = folder
        self.taken: set[str] = set()
        with reported(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def save(self, file: str, encoding: Encoding) -> str:
        import numpy as np

        from ..files import printable, write_file

        stem = "stdin" if file == "-" else Path(file).name
        name, count = stem, 1
        while name in self.taken:  # the same file name in two folders
            count += 1
            name = f"{stem}~{count}"
        self.taken.add(name)
        path = self.folder / f"{name}.npy"
        content = io.BytesIO()
        np.save(content, encoding.embedding())
        write_file(path, content.getvalue())
        return printable(str(path))


def _destination(output: Path | None) -> contextlib.AbstractContextManager[TextIO]:
    """stdout, or the output file, which keeps its results when interrupted."""
    from ..files import atomic_text

    if output is None or str(output) == "-":
        return contextlib.nullcontext(sys.stdout)
    return atomic_text(output, keep_partial=True)
