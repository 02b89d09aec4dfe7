"""What a batch makes of each recording."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import OptionError
from ..results.writers.base import Format
from ..results.writers.registry import SEGMENT_WRITERS
from ..settings import IntakeSettings, ReportSettings


@dataclass(frozen=True)
class BatchSettings:
    """What is made of each recording."""

    intake: IntakeSettings = field(default_factory=IntakeSettings)
    report: ReportSettings = field(default_factory=ReportSettings)
    formats: tuple[Format, ...] = ()
    """Formats with segments, each written beside the JSON."""
    embeddings: bool = False

    def check(self) -> None:
        """Refuse what cannot be; raises OptionError."""
        for format_ in self.formats:
            if format_ not in SEGMENT_WRITERS:
                raise OptionError(
                    f"format {format_!r} is not written by a batch; give "
                    f"{', '.join(SEGMENT_WRITERS)}, JSON and CSV come by themselves"
                )
