"""Measurements of a finished training on the speakers that were held out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from emotion2vec_edge.engine.bundle.manifest import Calibration
from emotion2vec_edge.engine.settings import LEAST_CALIBRATION_CLIPS


@dataclass(frozen=True)
class TrainingEvidence:
    """Facts for the card, the calibration and the person who trains."""

    origin: str
    """One sentence: the weights that the training began with."""
    clips: int
    hours: float
    speakers: int
    held_out_clips: int
    held_out_speakers: int
    held_out_by: Literal["speakers", "recordings"]
    """Unit that was held out: recordings where the speakers are not known."""
    steps: int
    ua: float
    """Mean of the corpora's UA."""
    corpora: Mapping[str, float]
    """Corpus → UA."""
    temperature: float
    ece_before: float
    """Expected calibration error without the temperature."""
    ece: float

    @property
    def calibration(self) -> Calibration | None:
        """Calibration for ``calibration.json``; None of too few clips."""
        if self.held_out_clips < LEAST_CALIBRATION_CLIPS:
            return None
        return Calibration(
            temperature=self.temperature,
            fitted_on=f"{self.held_out_clips} clips of {self.held_out_by} that were held out",
            ece_before=self.ece_before,
            ece=self.ece,
        )
