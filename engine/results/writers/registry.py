"""The writer of each format."""

from __future__ import annotations

from .annotations import AudacityWriter, RttmWriter, TextGridWriter
from .base import SegmentWriter, Writer
from .documents import JsonLinesWriter, JsonWriter
from .formats import Format
from .subtitles import SrtWriter, VttWriter
from .tables import CsvWriter, TableWriter

SEGMENT_WRITERS: dict[Format, type[SegmentWriter]] = {
    "srt": SrtWriter,
    "vtt": VttWriter,
    "textgrid": TextGridWriter,
    "audacity": AudacityWriter,
    "rttm": RttmWriter,
}

WRITERS: dict[Format, type[Writer]] = {
    "table": TableWriter,
    "json": JsonWriter,
    "jsonl": JsonLinesWriter,
    "csv": CsvWriter,
    **SEGMENT_WRITERS,
}
