"""Scores of one modality over time: their form as JSON lines, and their checks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ModalityError
from ..fields import Fields
from ..files import printable, read_regular
from ..settings import MOST_SECONDS

MOST_BYTES = 1 << 30
MOST_LABELS = 1_000
SPEECH = "speech"
"""Modality of the results of ``e2v recognize``."""


@dataclass(frozen=True)
class ScoredSpan:
    """Scores of one modality for a stretch of time."""

    modality: str
    start: float
    """Seconds from the start of the recording."""
    end: float
    scores: Mapping[str, float]
    """Probability by the modality's own label."""
    calibrated: bool = False
    """True if the probabilities were calibrated on held-out data."""
    file: str = ""
    """The recording, where rows of several are together."""
    speaker: str | None = None
    place: str = ""
    """File and line, for messages."""


def read_modality(path: Path, modality: str | None = None) -> list[ScoredSpan]:
    """The scores in a file, in order.

    Args:
        path: JSON lines, each with ``modality``, ``start``, ``end``, ``scores`` (by label, or a
            list beside ``labels``), and perhaps ``calibrated``, ``file`` and ``speaker``; or the
            JSON of ``e2v recognize`` with turns or with a timeline.
        modality: name for rows that have none; None takes the file's own name.

    Raises:
        ModalityError: the file cannot be read, or a row cannot be used; the message names it.
    """
    name = printable(str(path))
    try:
        text = read_regular(path, MOST_BYTES).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8"
        raise ModalityError(f"{name}: scores cannot be read: {reason}") from None
    spans = [
        span
        for place, document in _documents(text, name)
        for span in _spans(document, place, modality or path.stem)
    ]
    if not spans:
        raise ModalityError(f"{name}: holds no scores")
    return check_order(spans)


def check_order(spans: Sequence[ScoredSpan]) -> list[ScoredSpan]:
    """The spans as they are.

    Raises:
        ModalityError: within a recording, a span starts before the one before it.
    """
    latest: dict[tuple[str, str], ScoredSpan] = {}
    for span in spans:
        before = latest.get((span.modality, span.file))
        if before is not None and span.start < before.start:
            raise ModalityError(
                f"{span.place}: starts at {span.start:g} s, before the row above it "
                f"({before.start:g} s); sort the rows of a recording by time"
            )
        latest[span.modality, span.file] = span
    return list(spans)


def _documents(text: str, name: str) -> Iterator[tuple[str, Any]]:
    """(place, document) of a file of one JSON document, or of JSON lines."""
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    except RecursionError:
        raise ModalityError(f"{name}: nested too deep") from None
    if document is not None:
        documents = document if isinstance(document, list) else [document]
        yield from ((f"{name}: entry {n}", own) for n, own in enumerate(documents, 1))
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield f"{name}: line {number}", json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ModalityError(f"{name}: line {number}: no JSON: {error}") from None


def _spans(document: object, place: str, modality: str) -> Iterator[ScoredSpan]:
    fields = Fields(document, place, ModalityError)
    for key in ("turns", "frames"):  # a result of e2v recognize
        if isinstance(rows := fields.values.get(key), list):
            for number, row in enumerate(rows, 1):
                own = Fields(row, f"{place}: {key}[{number - 1}]", ModalityError)
                own.values = {
                    "modality": SPEECH,
                    "file": fields.values.get("file"),
                    "calibrated": fields.values.get("calibrated"),
                    **own.values,
                }
                yield _span(own, modality)
            return
    yield _span(fields, modality)


def _span(fields: Fields, modality: str) -> ScoredSpan:
    start = fields.number("start", least=0, most=MOST_SECONDS)
    end = fields.number("end", least=0, most=MOST_SECONDS)
    if end <= start:
        raise fields.wrong("end", f"after the start, {start:g} s", end)
    return ScoredSpan(
        fields.text("modality", modality, most=100),
        start,
        end,
        _scores(fields),
        fields.boolean("calibrated", default=False),
        fields.text("file", "", least=0, most=4_096),
        fields.text("speaker") if fields.has("speaker") else None,
        fields.document,
    )


def _scores(fields: Fields) -> dict[str, float]:
    values = fields.values.get("scores")
    if isinstance(values, list):
        labels = fields.texts("labels", least=1, most=MOST_LABELS)
        if len(labels) != len(values) or len(set(labels)) < len(labels):
            raise fields.wrong("scores", f"one for each of {len(labels)} different labels", values)
        fields.values["scores"] = dict(zip(labels, values, strict=True))
    inner = fields.mapping("scores")
    scores = {label: inner.number(label, least=0, most=1) for label in inner.names(1, MOST_LABELS)}
    total = sum(scores.values())
    if not 0.98 <= total <= 1.02:
        raise fields.wrong("scores", "probabilities that sum to 1", f"a sum of {total:g}")
    return scores


def by_modality(spans: Iterable[ScoredSpan]) -> dict[str, list[ScoredSpan]]:
    """The spans of each modality, in the order in which they first occur."""
    found: dict[str, list[ScoredSpan]] = {}
    for span in spans:
        found.setdefault(span.modality, []).append(span)
    return found
