"""Long recordings, whole folders, live audio, and the damage of a kill."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.engine.audio.types import SAMPLE_RATE
from emotion2vec_edge.engine.progress import Progress

from ..choices import Part
from ..instruments.load import check_busy
from ..instruments.machine import describe
from ..models import model_line
from ..reporting.document import Document
from ..reporting.table import Column, Table, Value
from ..speech import joined_speech
from .parts import folders, live, long_audio


@dataclass(frozen=True)
class RecordingsSettings:
    """Parts of the measurement, and their sizes."""

    parts: tuple[Part, ...] = get_args(Part)
    files: int = 500
    """Clips of the batch."""
    rounds: int = 3
    """Runs of the batch, in turns."""
    live_seconds: float = 60.0
    """Seconds of audio that arrive in real time."""
    whole_seconds: float = 300.0
    """Length of the recording for chunks against one pass."""
    kill_rounds: int = 20
    """Attempts to kill a batch."""
    busy: int = 0
    """Processors kept busy by other processes in a second run of the live audio."""


def measure(
    speech: Path | None, model: str | None, settings: RecordingsSettings,
    progress: Progress,
) -> Document:  # fmt: skip
    """Measure on recordings of a folder.

    Args:
        speech: a recording or a folder; None takes the recordings of the package.
        model: path or name of a bundle; None takes the default.
        settings: parts and sizes.
        progress: receives the name of each part.

    Raises:
        OptionError: no recording can be read, or fewer processors than should be busy.
        ModelError: the model cannot be used.
    """
    check_busy(settings.busy)
    machine = describe()
    recognizer = Recognizer.load(model)
    seconds = max(settings.whole_seconds, settings.live_seconds, 60.0)
    samples = joined_speech(speech, seconds)
    whole = samples[: round(settings.whole_seconds * SAMPLE_RATE)]
    table = Table(
        "Long recordings, folders and live audio",
        [Column("part"), Column("case"), Column("figure", ".4g"), Column("unit")],
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts: dict[Part, Callable[[], list[list[Value]]]] = {
            "memory": lambda: long_audio.memory(samples, folder, model),
            "chunks": lambda: long_audio.chunks(whole, model),
            "batch": lambda: folders.batch(samples, folder, model, settings.files, settings.rounds),
            "stream": lambda: live.stream(samples, model, settings.live_seconds, settings.busy),
            "kill": lambda: folders.kill(samples, folder, model, settings.kill_rounds),
        }
        for part in settings.parts:
            progress(part)
            table.rows += parts[part]()
    used = {"speech": speech.name if speech else "samples", **asdict(settings)}
    return Document("recordings", used, [model_line(recognizer)], machine, [table])
