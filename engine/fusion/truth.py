"""True labels of stretches of time, which weights are fitted on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import ModalityError
from ..fields import Fields
from ..files import printable, read_regular
from ..settings import MOST_SECONDS
from .alignment import AlignedScores
from .modality import MOST_BYTES


@dataclass(frozen=True)
class TrueSpan:
    """The true emotion of a stretch of time."""

    start: float
    end: float
    label: str
    speaker: str
    file: str = ""


@dataclass(frozen=True, eq=False)
class LabelledScores:
    """The aligned spans whose emotion is known."""

    aligned: AlignedScores
    truth: NDArray[np.int64]
    """Label index of each span: int64 [spans]."""
    speakers: tuple[str, ...]


def read_truth(path: Path) -> list[TrueSpan]:
    """True labels of JSON lines with ``start``, ``end``, ``label``, ``speaker`` and maybe ``file``.

    Raises:
        ModalityError: the file cannot be read, or a line cannot be used; the message names it.
    """
    name = printable(str(path))
    try:
        lines = read_regular(path, MOST_BYTES).decode("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8"
        raise ModalityError(f"{name}: labels cannot be read: {reason}") from None
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            fields = Fields(json.loads(line), f"{name}: line {number}", ModalityError)
        except (ValueError, RecursionError) as error:
            if isinstance(error, ModalityError):
                raise
            raise ModalityError(f"{name}: line {number}: no JSON: {error}") from None
        found.append(
            TrueSpan(
                fields.number("start", least=0, most=MOST_SECONDS),
                fields.number("end", least=0, most=MOST_SECONDS),
                fields.text("label", most=100),
                fields.text("speaker"),
                fields.text("file", "", least=0, most=4_096),
            )
        )
    return found


def match_truth(aligned: AlignedScores, true: Sequence[TrueSpan]) -> LabelledScores:
    """The spans whose middle lies in a labelled stretch, under its label.

    Raises:
        ModalityError: a label that is not fused.
    """
    index = {label: number for number, label in enumerate(aligned.labels)}
    by_file: dict[str, list[TrueSpan]] = {}
    for span in true:
        if span.label not in index:
            known = ", ".join(aligned.labels)
            raise ModalityError(f"true label {span.label!r:.60} is none of those fused: {known}")
        by_file.setdefault(span.file, []).append(span)
    rows, truth, speakers = [], [], []
    for row, given in enumerate(aligned.spans):
        middle = (given.start + given.end) / 2
        for span in by_file.get(given.file, ()):
            if span.start <= middle < span.end:
                rows.append(row)
                truth.append(index[span.label])
                speakers.append(span.speaker)
                break
    part = aligned.some(np.array(rows, np.int64))
    return LabelledScores(part, np.array(truth, np.int64), tuple(speakers))
