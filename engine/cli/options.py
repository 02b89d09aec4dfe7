"""Options that several verbs share, each group as one value."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ..recognizer import Recognizer

F = TypeVar("F", bound=Callable[..., Any])


def _grouped(name: str, group: type, *options: Callable[[F], F]) -> Callable[[F], F]:
    """Add options to a command, which takes their values as one ``group`` under ``name``."""

    def decorate(command: F) -> F:
        @functools.wraps(command)
        def collected(**values: Any) -> Any:
            own = {field.name: values.pop(field.name) for field in fields(group)}
            return command(**{name: group(**own)}, **values)

        for option in reversed(options):
            collected = option(collected)
        return collected  # type: ignore[return-value]

    return decorate


@dataclass(frozen=True)
class ModelOptions:
    """Which model, and where it runs."""

    model: str | None
    provider: str
    precision: str
    threads: int | None
    chunk_seconds: float
    context_seconds: float

    def load(self, threads: int | None = None) -> Recognizer:
        """Open the model, on ``threads`` processors where that is given."""
        from ..recognizer import Recognizer

        return Recognizer.load(
            self.model,
            provider=self.provider,
            precision=self.precision,
            threads=threads or self.threads,
            chunk_seconds=self.chunk_seconds,
            context_seconds=self.context_seconds,
        )


model_options = _grouped(
    "model_options",
    ModelOptions,
    click.option("--model", help="Path or name of a bundle; $E2V_MODEL or the embedded one else."),
    click.option(
        "--provider", default="auto", show_default=True, help="auto, tensorrt, cuda or cpu."
    ),
    click.option(
        "--precision", default="auto", show_default=True, help="auto, fp32, int8 or fp16."
    ),
    click.option("--threads", type=int, help="Processors to use; all by default."),
    click.option(
        "--chunk-seconds",
        type=float,
        default=30.0,
        show_default=True,
        help="The longest stretch that is encoded at once.",
    ),
    click.option(
        "--context-seconds",
        type=float,
        default=2.0,
        show_default=True,
        help="What a chunk of longer audio hears beyond what is kept of it.",
    ),
)


@dataclass(frozen=True)
class IntakeOptions:
    """What is taken in of a recording."""

    channel: int | None
    max_seconds: float | None
    cut: bool


intake_options = _grouped(
    "intake_options",
    IntakeOptions,
    click.option(
        "--channel",
        type=click.IntRange(0),
        help="Channel to take, from 0; the mean of all otherwise.",
    ),
    click.option("--max-seconds", type=float, help="Refuse recordings that are longer."),
    click.option("--cut", is_flag=True, help="Take the first --max-seconds of those instead."),
)


@dataclass(frozen=True)
class TimelineOptions:
    """What is told about a recording."""

    granularity: str
    window: float
    hop: float
    top: int
    min_segment: float

    def check(self) -> None:
        """Refuse windows that cannot be; raises OptionError."""
        from ..errors import OptionError
        from ..windows import check_window

        if self.granularity == "frame":
            check_window(self.window, self.hop)
        if not self.min_segment >= 0:
            raise OptionError(f"--min-segment is {self.min_segment!r}; give 0 or more seconds")


timeline_options = _grouped(
    "timeline_options",
    TimelineOptions,
    click.option(
        "--granularity",
        type=click.Choice(["utterance", "frame"]),
        default="utterance",
        show_default=True,
        help="One emotion a recording, or also one a window.",
    ),
    click.option(
        "--window",
        type=float,
        default=0.1,
        show_default=True,
        help="Seconds of one window of the timeline.",
    ),
    click.option(
        "--hop",
        type=float,
        default=0.05,
        show_default=True,
        help="Seconds from one window to the next.",
    ),
    click.option(
        "--top",
        type=click.IntRange(1),
        default=3,
        show_default=True,
        help="How many of the best emotions to list.",
    ),
    click.option(
        "--min-segment",
        type=float,
        default=0.5,
        show_default=True,
        help="Shortest segment, in seconds, of the formats that have segments.",
    ),
)

output_option = click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write results to a file.",
)
