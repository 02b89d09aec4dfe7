"""Settings that the studies share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StudySettings:
    """Labelled speech, and the model that hears it."""

    corpora: tuple[Path, ...]
    model: str | None = None
    """Path or name of a bundle; None takes the default."""
    split: str | None = "test"
    """Split of a manifest; None takes all rows."""
