"""``calibration.json`` beside a checkpoint that was trained here: temperature and licence."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from emotion2vec_edge.engine.bundle import schema
from emotion2vec_edge.engine.bundle.manifest import Calibration
from emotion2vec_edge.engine.errors import CheckpointError
from emotion2vec_edge.engine.fields import read_json
from emotion2vec_edge.engine.files import write_file

CALIBRATION = "calibration.json"


def read_calibration(folder: Path) -> tuple[Calibration | None, str | None]:
    """The calibration of a checkpoint's scores and the licence of its weights, if stated.

    Raises:
        CheckpointError: the file cannot be read.
    """
    path = folder / CALIBRATION
    if not path.is_file():
        return None, None
    fields = read_json(path, CheckpointError)
    # Of a student without labelled speech nothing but the licence is known.
    calibration = schema.read_calibration(fields) if fields.has("temperature") else None
    licence = fields.text("licence") if fields.has("licence") else None
    fields.refuse_others()
    return calibration, licence


def write_calibration(
    folder: Path, calibration: Calibration | None, licence: str | None = None
) -> None:
    """Write ``calibration.json`` into a checkpoint folder."""
    document = ({} if calibration is None else asdict(calibration)) | (
        {} if licence is None else {"licence": licence}
    )
    text = json.dumps(document, indent=2, allow_nan=False) + "\n"
    write_file(folder / CALIBRATION, text.encode())
