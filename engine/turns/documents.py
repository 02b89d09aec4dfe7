"""JSON of WhisperX and of FunASR."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ..errors import TurnFileError
from .given import GivenTurn


def read_json(text: str, name: str) -> Iterator[GivenTurn]:
    """Segments of WhisperX (seconds), or sentences of FunASR (milliseconds)."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TurnFileError(f"{name}: cannot be read as JSON: {error}") from None
    if isinstance(document, dict) and isinstance(document.get("segments"), list):
        return _entries(document["segments"], name, "segments", 1.0, "speaker")
    results = document if isinstance(document, list) else [document]
    for result in results:
        if isinstance(result, dict) and isinstance(result.get("sentence_info"), list):
            return _entries(result["sentence_info"], name, "sentence_info", 1000.0, "spk")
    raise TurnFileError(
        f"{name}: neither WhisperX's JSON, which has a list segments, nor FunASR's, which has a "
        "list sentence_info"
    )


def _entries(
    entries: list[Any], name: str, field: str, per_second: float, speaker_field: str
) -> Iterator[GivenTurn]:
    for number, entry in enumerate(entries, 1):
        place = f"{name}: {field}, entry {number}"
        if not isinstance(entry, dict):
            raise TurnFileError(f"{place}: not an object with start and end")
        start, end = (_time(entry.get(key), key, place) / per_second for key in ("start", "end"))
        speaker, said = entry.get(speaker_field), entry.get("text")
        yield GivenTurn(
            start,
            end,
            None if speaker is None else str(speaker)[:200],
            said.strip() if isinstance(said, str) and said.strip() else None,
            number,
        )


def _time(value: Any, key: str, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TurnFileError(f"{place}: {key} is {value!r:.40}, not a number")
    try:
        return float(value)
    except OverflowError:
        raise TurnFileError(f"{place}: {key} is too large") from None
