"""What a user decides: frozen groups of settings, which the command line fills in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal

from .errors import OptionError

if TYPE_CHECKING:
    from .recognizer import Recognizer

Granularity = Literal["utterance", "frame"]


@dataclass(frozen=True)
class ModelSettings:
    """Which model, and where it runs; fields as the arguments of :meth:`Recognizer.load`."""

    model: str | None = None
    provider: str = "auto"
    precision: str = "auto"
    threads: int | None = None
    chunk_seconds: float = 30.0
    context_seconds: float = 2.0
    reject_below: float = 0.0
    provider_options: Mapping[str, str] = field(default_factory=dict)

    def load(self, *, prepare: bool = False) -> Recognizer:
        """Open the model; argument and errors as :meth:`Recognizer.load`."""
        from .recognizer import Recognizer

        return Recognizer.load(**asdict(self), prepare=prepare)


@dataclass(frozen=True)
class IntakeSettings:
    """What is taken in of a recording; fields as the arguments of :meth:`Recognizer.encode`."""

    channel: int | None = None
    max_seconds: float | None = None
    cut: bool = False


@dataclass(frozen=True)
class ReportSettings:
    """What is told about a recording."""

    granularity: Granularity = "utterance"
    window: float = 0.1
    """Seconds of one window of the timeline."""
    hop: float = 0.05
    """Seconds from one window to the next."""
    top: int = 3
    """How many of the best emotions are listed."""
    min_segment: float = 0.5
    """Seconds of the shortest segment, in the formats that have segments."""

    def check(self) -> None:
        """Refuse what cannot be.

        Raises:
            OptionError: a window shorter than one frame, a hop that is not positive, a segment
                of less than nothing.
        """
        from .results.pooling import check_window

        if self.granularity == "frame":
            check_window(self.window, self.hop)
        if not self.min_segment >= 0:
            raise OptionError(
                f"a shortest segment of {self.min_segment!r} s; give 0 or more seconds"
            )
