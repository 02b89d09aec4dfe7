"""``e2v recognize``: the emotion of recordings, one encoder pass each."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from ..errors import E2VError, OutputError
from . import fail

if TYPE_CHECKING:
    from ..encoding import Encoding
    from ..writers import Format


@click.command()
@click.argument("audio", nargs=-1)
@click.option("--examples", is_flag=True, help="Recognize the recordings that come with e2v.")
@click.option(
    "--granularity",
    type=click.Choice(["utterance", "frame"]),
    default="utterance",
    show_default=True,
    help="One emotion a recording, or also one a window.",
)
@click.option(
    "--window",
    type=float,
    default=0.1,
    show_default=True,
    help="Seconds of one window of the timeline.",
)
@click.option(
    "--hop",
    type=float,
    default=0.05,
    show_default=True,
    help="Seconds from one window to the next.",
)
@click.option(
    "--top",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="How many of the best emotions to list.",
)
@click.option(
    "--embedding",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Save the embedding of each recording there, as .npy.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json", "jsonl", "csv"]),
    help="Output format; a table by default.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write results to a file.",
)
@click.option(
    "--channel", type=click.IntRange(0), help="Channel to take, from 0; the mean of all otherwise."
)
@click.option("--model", help="Path or name of a bundle; $E2V_MODEL or the embedded one otherwise.")
@click.option("--provider", default="auto", show_default=True, help="auto, tensorrt, cuda or cpu.")
@click.option("--precision", default="auto", show_default=True, help="auto, fp32, int8 or fp16.")
@click.option("--threads", type=int, help="Processors to use; all by default.")
def recognize(
    audio: tuple[str, ...], examples: bool, granularity: str, window: float, hop: float, top: int,
    embedding: Path | None, format_: Format | None, output: Path | None, channel: int | None,
    model: str | None, provider: str, precision: str, threads: int | None,
) -> int:  # fmt: skip
    """Recognize the emotion in AUDIO files; - reads one from stdin.

    WAV, FLAC, OGG, Opus, MP3, M4A, WebM, MP4, AMR and whatever else FFmpeg reads, at any rate and
    with any number of channels. A file that cannot be used is reported, and the others go on.
    """
    from .. import example_recordings
    from ..errors import AudioError, OptionError
    from ..recognizer import Recognizer
    from ..windows import check_window
    from ..writers import WRITERS, Report

    files = [*audio, *(str(path) for path in example_recordings() if examples)]
    if not files:
        raise click.UsageError("no audio: give files, - for stdin, or --examples")
    framed = granularity == "frame"
    if framed:
        check_window(window, hop)

    recognizer = Recognizer.load(model, provider=provider, precision=precision, threads=threads)
    saver = _EmbeddingSaver(embedding) if embedding is not None else None
    failures: list[int] = []
    with _destination(output) as out:
        writer = WRITERS[format_ or "table"](out, several=len(files) > 1)
        try:
            for file in files:
                try:
                    source: str | io.BytesIO = file
                    if file == "-":
                        source = io.BytesIO(sys.stdin.buffer.read())
                    encoding = recognizer.encode(source, channel=channel)
                except (AudioError, OptionError) as error:
                    failures.append(fail(error))
                    continue
                report = Report(
                    file=file,
                    utterance=encoding.utterance(),
                    timeline=encoding.timeline(window, hop) if framed else None,
                    top=top,
                    embedding=saver.save(file, encoding) if saver is not None else None,
                )
                writer.write(report)
        finally:
            writer.close()
    if not failures:
        return 0
    return failures[0] if len(failures) == len(files) else 1


class _EmbeddingSaver:
    """Saves embeddings under the names of their recordings, without overwriting one another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.taken: set[str] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be written: {error.strerror}") from None

    def save(self, file: str, encoding: Encoding) -> str:
        import numpy as np

        from ..bundle import write_atomically

        stem = "stdin" if file == "-" else Path(file).name
        name, count = stem, 1
        while name in self.taken:  # the same file name in two folders
            count += 1
            name = f"{stem}~{count}"
        self.taken.add(name)
        path = self.folder / f"{name}.npy"
        content = io.BytesIO()
        np.save(content, encoding.embedding())
        try:
            write_atomically(path, content.getvalue())
        except OSError as error:
            raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from None
        return str(path)


@contextlib.contextmanager
def _destination(output: Path | None) -> Iterator[IO[str]]:
    """stdout, or a file that is written beside its place and renamed, even when interrupted."""
    if output is None or str(output) == "-":
        yield sys.stdout
        return
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as out:
            yield out
    except BaseException as error:
        if isinstance(error, E2VError) or not isinstance(error, OSError):
            temporary.replace(output)  # stopped between two results: what is there is whole
            raise
        message = f"{output}: cannot be written: {error.strerror or error}"
        if temporary.exists():
            partial = output.with_name(f"{output.name}.partial")
            temporary.replace(partial)
            message += f"; what could be written is in {partial}"
        raise OutputError(message) from None
    temporary.replace(output)
