"""A picture of a training's log, for those who would rather look than read."""

from __future__ import annotations

import json
from pathlib import Path

from .run import LOG

PICTURE = "training.png"


def plot_log(folder: Path) -> Path | None:
    """Draw loss and held-out accuracy over the steps; None where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    lines = (folder / LOG).read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    learning = [entry for entry in entries if entry["loss"]]
    asked = [entry for entry in entries if "ua" in entry]
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    left = figure.subplots()
    left.plot([e["step"] for e in learning], [e["loss"] for e in learning], color="tab:grey")
    left.set_xlabel("step")
    left.set_ylabel("training loss (grey)")
    right = left.twinx()
    for corpus in asked[-1]["corpora"] if asked else ():
        right.plot([e["step"] for e in asked], [e["corpora"][corpus] for e in asked], label=corpus)
    right.plot([e["step"] for e in asked], [e["ua"] for e in asked], "k", linewidth=2, label="mean")
    right.set_ylabel("UA on held-out speakers")
    right.set_ylim(0, 1)
    if asked:
        right.legend(loc="lower right")
    path = folder / PICTURE
    figure.savefig(path, dpi=120)
    return path
