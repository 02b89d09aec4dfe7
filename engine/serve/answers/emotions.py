"""Recordings of a request → the text of its answer. It runs in the threads that decode."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ...audio.meter import Meter
from ...audio.recording import Recording
from ...errors import E2VError, OptionError
from ...recognizer import Recognizer
from ...results.encoding import Encoding
from ...results.report import Report, TurnReport, json_text
from ...results.types import Conversation
from ...results.writers.formats import SEGMENT_FORMATS
from ...results.writers.registry import WRITERS
from ...settings import ReportSettings
from ..bodies.spool import SpooledFile
from ..inference.work import Work
from .options import AnswerFormat, EmotionOptions

MOST_WINDOWS = 250_000
"""Windows of one timeline: 3.5 hours with the default hop, and about 100 MB of JSON."""

MEDIA_TYPES: dict[AnswerFormat, str] = {
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
    "textgrid": "text/plain; charset=utf-8",
    "audacity": "text/plain; charset=utf-8",
    "rttm": "text/plain; charset=utf-8",
}


@dataclass(frozen=True)
class Answer:
    """The answer to a request."""

    text: str
    media_type: str
    emotions: tuple[str, ...] = field(default=())
    """The emotion of each recording, or of each of its turns."""


@dataclass(frozen=True)
class Failed:
    """A recording that could not be used."""

    file: str
    error: E2VError

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "file": self.file,
            "error": type(self.error).__name__,
            "exit_code": self.error.exit_code,
            "message": str(self.error),
        }


def check_options(options: EmotionOptions, files: int) -> None:
    """Refuse options that do not go together.

    Raises:
        OptionError: several recordings in a format of one; turns and a timeline.
    """
    if files > 1 and options.format not in ("json", "jsonl"):
        raise OptionError(
            f"format {options.format} is of one recording, and {files} were sent; for several "
            "there are json and jsonl"
        )
    if options.turns is not None and options.granularity == "frame":
        raise OptionError("granularity frame is of a whole recording, and turns of its turns")
    if options.turns is not None and options.speech_only:
        raise OptionError("speech_only is of a whole recording, and turns are speech alone already")
    if options.baseline and options.turns != "channels":
        raise OptionError("a baseline is of each speaker; take turns by channel with it")
    if options.turns == "channels" and options.channel is not None:
        raise OptionError("turns by channel take all channels; give no channel")


def answer_emotions(
    recognizer: Recognizer,
    work: Work,
    files: Sequence[SpooledFile],
    options: EmotionOptions,
    max_seconds: float | None,
) -> Answer:
    """Recognize recordings.

    Args:
        recognizer: the request's own.
        work: the request.
        files: its recordings.
        options: its options.
        max_seconds: length of the longest recording that is taken; None takes any.

    Raises:
        E2VError: the only recording cannot be used, or all of several.
    """
    settings = ReportSettings(
        granularity="frame" if options.format in SEGMENT_FORMATS else options.granularity,
        window=options.window, hop=options.hop, top=options.top, min_segment=options.min_segment,
    )  # fmt: skip
    results: list[tuple[Report | TurnReport, dict[str, Any]]] = []
    failures = []
    for file, result in _each(recognizer, work, files, options, max_seconds):
        if isinstance(result, E2VError):
            failures.append(Failed(file.name, result))
            continue
        if isinstance(result, Conversation):
            results.append((TurnReport(file.name, result), _turn_fields(result, file, options)))
            continue
        _check_windows(result, settings)
        report = Report.of(result, file.name, settings)
        results.append((report, _fields(report, result, options)))
    return Answer(
        _written(results, failures, options.format, several=len(files) > 1),
        MEDIA_TYPES[options.format],
        tuple(emotion for report, _ in results for emotion in _emotions(report)),
    )


def answer_embeddings(
    recognizer: Recognizer,
    work: Work,
    files: Sequence[SpooledFile],
    channel: int | None,
    max_seconds: float | None,
) -> Answer:
    """Embeddings of recordings; arguments and errors as :func:`answer_emotions`."""
    options = EmotionOptions.model_validate({"channel": channel})
    results, failures = [], []
    for file, result in _each(recognizer, work, files, options, max_seconds):
        if isinstance(result, E2VError):
            failures.append(Failed(file.name, result).to_dict())
        elif isinstance(result, Encoding):
            results.append(
                {
                    "file": file.name,
                    "seconds": result.seconds,
                    "model": result.model,
                    "embedding": result.embedding().tolist(),
                    "warnings": [{"code": w.code, "message": w.message} for w in result.warnings],
                }
            )
    document = {"results": results, "failures": failures} if len(files) > 1 else results[0]
    text = json.dumps(document, ensure_ascii=False, allow_nan=False)
    return Answer(text, MEDIA_TYPES["json"])


def _each(
    recognizer: Recognizer,
    work: Work,
    files: Sequence[SpooledFile],
    options: EmotionOptions,
    max_seconds: float | None,
) -> Iterator[tuple[SpooledFile, Encoding | Conversation | E2VError]]:
    """Results in the order of the files; an error is raised if there is no result at all."""
    errors: list[E2VError] = []
    for file, result in _results(recognizer, work, files, options, max_seconds):
        work.check()
        if isinstance(result, E2VError):
            errors.append(result)
            if len(errors) == len(files):
                raise result
        yield file, result


def _results(
    recognizer: Recognizer,
    work: Work,
    files: Sequence[SpooledFile],
    options: EmotionOptions,
    max_seconds: float | None,
) -> Iterator[tuple[SpooledFile, Encoding | Conversation | E2VError]]:
    if len(files) > 1 and options.turns is None:
        sources = (file.open() for file in files)
        encodings = recognizer.encode_many(
            sources, channel=options.channel, max_seconds=max_seconds,
            speech_only=options.speech_only, errors="return",
        )  # fmt: skip
        with contextlib.closing(encodings):
            for file, encoding in zip(files, encodings, strict=True):
                if isinstance(encoding, Encoding):
                    work.audio_seconds += encoding.seconds
                yield file, encoding
        return
    for file in files:
        work.next_recording()
        with file.open() as source:
            try:
                yield file, _result(recognizer, work, source, options, max_seconds)
            except E2VError as error:
                work.check()
                yield file, error


def _result(
    recognizer: Recognizer,
    work: Work,
    source: IO[bytes],
    options: EmotionOptions,
    max_seconds: float | None,
) -> Encoding | Conversation:
    if options.turns is None:
        return recognizer.encode(
            source, channel=options.channel, max_seconds=max_seconds,
            speech_only=options.speech_only, progress=work.progress,
        )  # fmt: skip
    return recognizer.turns(
        source, channel=options.channel, max_seconds=max_seconds,
        by_channel=options.turns == "channels", baseline=options.baseline,
        embeddings=options.embeddings,
        progress=work.progress,
    )  # fmt: skip


def _check_windows(encoding: Encoding, settings: ReportSettings) -> None:
    windows = encoding.seconds / settings.hop
    if settings.granularity == "frame" and windows > MOST_WINDOWS:
        raise OptionError(
            f"{windows:.0f} windows for {encoding.seconds:.0f} s of audio, at most {MOST_WINDOWS} "
            "are given; take a longer hop"
        )


def _emotions(report: Report | TurnReport) -> list[str]:
    if isinstance(report, TurnReport):
        return [turn.emotion for turn in report.conversation]
    return [report.utterance.emotion]


def _fields(report: Report, encoding: Encoding, options: EmotionOptions) -> dict[str, Any]:
    """Fields that were asked for beyond those of the command line."""
    fields: dict[str, Any] = {}
    if options.segments:
        fields["segments"] = [asdict(segment) for segment in report.segments()]
    if options.embeddings:
        fields["embedding"] = encoding.embedding().tolist()
    if options.peaks:
        fields["peaks"] = peaks(encoding.outline, options.peaks)
    return fields


def _turn_fields(
    conversation: Conversation, file: SpooledFile, options: EmotionOptions
) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if options.embeddings:
        fields["embeddings"] = [
            None if turn.embedding is None else turn.embedding.tolist() for turn in conversation
        ]
    if options.peaks:
        meter = Meter()
        with file.open() as source, Recording(source, channel=options.channel) as recording:
            for block in recording.blocks():
                meter.add(block)
        fields["peaks"] = peaks(meter.outline, options.peaks)
    return fields


def peaks(outline: NDArray[np.float32], count: int) -> list[list[float]]:
    """The outline of a waveform in so many parts: lowest and highest sample of each.

    Args:
        outline: lowest and highest sample of each 20 ms, float32 [columns, 2].
        count: number of parts; with fewer columns, some come several times.
    """
    if not len(outline):
        return [[0.0, 0.0]] * count
    starts = np.arange(count) * len(outline) // count
    if count < len(outline):
        lows = np.minimum.reduceat(outline[:, 0], starts)
        highs = np.maximum.reduceat(outline[:, 1], starts)
    else:
        lows, highs = outline[starts].T
    pairs: list[list[float]] = np.stack([lows, highs], axis=1).astype(float).round(4).tolist()
    return pairs


def _written(
    results: Sequence[tuple[Report | TurnReport, dict[str, Any]]],
    failures: Sequence[Failed],
    format_: AnswerFormat,
    *,
    several: bool,
) -> str:
    """Text of the answer."""
    if format_ == "json" and several:
        inner = ", ".join(_with_fields("".join(json_text(r)), fields) for r, fields in results)
        failed = json.dumps([failure.to_dict() for failure in failures], ensure_ascii=False)
        return f'{{"results": [{inner}], "failures": {failed}}}\n'
    if format_ == "jsonl":
        lines = [_with_fields("".join(json_text(r)), fields) for r, fields in results]
        lines += [json.dumps(failure.to_dict(), ensure_ascii=False) for failure in failures]
        return "".join(line + "\n" for line in lines)
    out = io.StringIO()
    writer = WRITERS[format_](out, several=False)
    with contextlib.closing(writer):
        for report, _ in results:
            writer.write(report)
    if format_ == "json":
        return _with_fields(out.getvalue(), results[0][1])
    return out.getvalue()


def _with_fields(text: str, fields: dict[str, Any]) -> str:
    """The JSON text of an object with more fields at its end."""
    if not fields:
        return text
    more = json.dumps(fields, ensure_ascii=False, allow_nan=False)
    end = text.rstrip()
    return f"{end[:-1].rstrip()}, {more[1:]}" + text[len(end) :]
