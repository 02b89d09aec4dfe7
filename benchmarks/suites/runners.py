"""Runners that take turns: the variants of a model, and baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion2vec_edge.engine import Recognizer
from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.progress import Progress
from emotion2vec_edge.engine.settings import PrecisionChoice, ProviderChoice

from ..baselines.registry import build_baseline
from ..baselines.settings import BaselineSettings, Run
from ..choices import BaselineName
from ..models import runnable_variants


@dataclass(frozen=True)
class RunnerSettings:
    """Variants of a model on a provider, and baselines that run its checkpoint."""

    model: str | None = None
    """Path or name of a bundle; None takes the default."""
    variants: tuple[PrecisionChoice, ...] = ()
    """Precisions; empty takes all that the bundle has and the provider runs."""
    provider: ProviderChoice = "auto"
    threads: int | None = None
    """Threads of the processor; None takes all processors."""
    rounds: int = 9
    """Runs of each runner that count."""
    baselines: tuple[BaselineName, ...] = ()
    checkpoint: Path | None = None
    """FunASR folder of the model, for the baselines."""

    def check(self) -> None:
        """Raises OptionError if there are baselines but no checkpoint."""
        if self.baselines and self.checkpoint is None:
            raise OptionError(
                "baselines run the checkpoint that the bundle was made from: give --checkpoint"
            )

    def variant_names(self) -> list[PrecisionChoice]:
        """Precisions to measure; the first is the reference of the answers."""
        return list(self.variants or runnable_variants(self.model, self.provider))

    def load(self, precision: PrecisionChoice) -> Recognizer:
        """One variant; raises as :meth:`Recognizer.load`."""
        return Recognizer.load(
            self.model, provider=self.provider, precision=precision, threads=self.threads
        )

    def document_settings(self, engines: Mapping[PrecisionChoice, Recognizer]) -> dict[str, Any]:
        """Settings as a document shows them, with what the defaults became."""
        first = next(iter(engines.values()))
        return {
            "rounds": self.rounds, "variants": list(engines), "baselines": list(self.baselines),
            "provider": first.provider, "threads": first.threads,
        }  # fmt: skip

    def build_baselines(
        self, recognizer: Recognizer, folder: Path, progress: Progress
    ) -> dict[str, Run]:
        """The baselines, built to match a recognizer.

        Args:
            recognizer: gives threads, device and temperature.
            folder: folder of intermediate graphs, which must stay as long as the baselines.
            progress: receives the name of each step.

        Raises:
            As :func:`~.registry.build_baseline`.
        """
        runs: dict[str, Run] = {}
        if self.checkpoint is not None:
            settings = BaselineSettings.like(recognizer, self.checkpoint, folder)
            for name in self.baselines:
                progress(f"building the baseline {name}")
                runs[name] = build_baseline(name, settings)
        return runs
