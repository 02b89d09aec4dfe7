"""The log of a training, one JSON line a report, and its picture."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from emotion2vec_edge.engine.files import write_file

LOG = "training.jsonl"
PICTURE = "training.png"


@dataclass(frozen=True)
class Report:
    """Losses at one step and, from time to time, the accuracy on the held-out speakers."""

    step: int
    seconds: float
    """Seconds of training so far."""
    loss: float
    """The main loss, mean since the last report; the cross-entropy of the head with labels."""
    parts: Mapping[str, float]
    """Name → another loss, mean since the last report; ``mel`` is of the log-mel spectrum."""
    ua: float | None = None
    """Mean of the corpora's UA; None where it was not measured."""
    corpora: Mapping[str, float] | None = None
    """Corpus → UA."""

    def to_json(self) -> str:
        """The report as one line."""
        values = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps(values) + "\n"


class TrainingLog:
    """The reports of one training, in ``training.jsonl``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / LOG

    def append(self, report: Report) -> None:
        """Add a report."""
        with self.path.open("a", encoding="utf-8") as log:
            log.write(report.to_json())

    def reports(self) -> list[Report]:
        """All reports; a last line that was cut off by a crash is left out."""
        if not self.path.is_file():
            return []
        reports = []
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError, TypeError):
                fields: dict[str, Any] = json.loads(line)
                reports.append(Report(**fields))
        return reports

    def cut(self, step: int) -> None:
        """Keep the reports up to a step: those after it will come again."""
        kept = [report.to_json().encode() for report in self.reports() if report.step <= step]
        write_file(self.path, kept)

    def plot(self) -> Path | None:
        """Draw loss and held-out UA over the steps; None where matplotlib is not installed."""
        try:
            from matplotlib.figure import Figure
        except ImportError:
            return None
        reports = self.reports()
        learning = [report for report in reports if report.loss]
        validated = [report for report in reports if report.ua is not None and report.corpora]
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        left = figure.subplots()
        left.plot([r.step for r in learning], [r.loss for r in learning], color="tab:grey")
        left.set_xlabel("step")
        left.set_ylabel("training loss (grey)")
        right = left.twinx()
        steps = [report.step for report in validated]
        for corpus in (validated[-1].corpora or ()) if validated else ():
            right.plot(steps, [(r.corpora or {})[corpus] for r in validated], label=corpus)
        right.plot(steps, [r.ua or 0.0 for r in validated], "k", linewidth=2, label="mean")
        right.set_ylabel("UA on held-out speakers")
        right.set_ylim(0, 1)
        if validated:
            right.legend(loc="lower right")
        picture = io.BytesIO()
        figure.savefig(picture, dpi=120, format="png")
        path = self.folder / PICTURE
        write_file(path, picture.getvalue())
        return path
