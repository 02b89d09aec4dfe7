"""Names of the output formats, without an import of the writers: help texts list them."""

from __future__ import annotations

from typing import Literal, get_args

SegmentFormat = Literal["srt", "vtt", "textgrid", "audacity", "rttm"]
"""Format of another tool that holds the segments of one recording."""

Format = Literal["table", "json", "jsonl", "csv", SegmentFormat]
"""Any output format."""

SEGMENT_FORMATS: tuple[SegmentFormat, ...] = get_args(SegmentFormat)
FORMATS: tuple[Format, ...] = get_args(Format)
