"""Torch files, written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from emotion2vec_edge.engine.errors import OutputError
from emotion2vec_edge.engine.files import atomic_file


def save_torch(content: Mapping[str, Any], path: Path) -> None:
    """Write a torch file.

    Raises:
        OutputError: the disk fails.
    """
    try:
        with atomic_file(path) as file:
            torch.save(dict(content), file)
    except RuntimeError as error:  # the error of the disk, which torch's own follows
        reason = getattr(error.__context__, "strerror", None) or str(error).partition("\n")[0]
        raise OutputError(f"{path}: cannot be written: {reason}") from error
