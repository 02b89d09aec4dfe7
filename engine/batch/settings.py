"""Settings of a batch."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import OptionError
from ..results.writers.formats import SEGMENT_FORMATS, SegmentFormat
from ..settings import IntakeSettings, ReportSettings, SegmentSettings, TurnSettings


@dataclass(frozen=True)
class BatchSettings:
    """The parts of the recordings that are used, and the files that are made of them.

    Raises:
        OptionError: a format that a batch does not write; turns together with what is of whole
            recordings.
    """

    intake: IntakeSettings = field(default_factory=IntakeSettings)
    report: ReportSettings = field(default_factory=ReportSettings)
    formats: tuple[SegmentFormat, ...] = ()
    """Formats with segments, each written beside the JSON."""
    embeddings: bool = False
    """True to save the embedding of each recording, or those of its turns."""
    turns: TurnSettings | None = None
    """The turns that results are made of; None for results of whole recordings."""
    speech_only: SegmentSettings | None = None
    """Rules for speech, which alone is pooled; None pools everything."""

    def __post_init__(self) -> None:
        if self.turns is not None and self.report.granularity != "utterance":
            raise OptionError("granularity frame is of a whole recording; turns have no windows")
        if self.turns is not None and self.speech_only is not None:
            raise OptionError(
                "speech_only is of whole recordings; turns without speech are unknown"
            )
        for format_ in self.formats:
            if format_ not in SEGMENT_FORMATS:
                raise OptionError(
                    f"format {format_!r} is not written by a batch; give "
                    f"{', '.join(SEGMENT_FORMATS)}, JSON and CSV come by themselves"
                )
