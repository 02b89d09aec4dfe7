"""``calibration.json`` beside a checkpoint that was trained here: temperature and licence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emotion2vec_edge.engine.bundle.manifest import checked_temperature
from emotion2vec_edge.engine.errors import CheckpointError

CALIBRATION = "calibration.json"


def read_calibration(folder: Path) -> dict[str, Any] | None:
    """The calibration of a checkpoint's scores; None if the folder has none.

    Raises:
        CheckpointError: it cannot be read.
    """
    path = folder / CALIBRATION
    if not path.is_file():
        return None
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        checked_temperature(content)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: no calibration can be read there: {error!r}") from None
    return content


def write_calibration(folder: Path, calibration: Mapping[str, Any]) -> None:
    """Write ``calibration.json`` into a checkpoint folder."""
    text = json.dumps(calibration, indent=2) + "\n"
    (folder / CALIBRATION).write_text(text, encoding="utf-8")
