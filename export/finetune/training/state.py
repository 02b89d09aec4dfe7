"""The saved state of a training, from which it continues."""

from __future__ import annotations

import contextlib
import pickle
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from emotion2vec_edge.engine.errors import OptionError
from emotion2vec_edge.engine.files import atomic_folder

from ...checkpoint.saving import save_torch

STATE = "training.pt"


@dataclass(frozen=True)
class TrainingState:
    """Everything that a training continues from."""

    recipe: Mapping[str, Any]
    """The recipe, as :meth:`~.recipe.Recipe.as_dict` gives it."""
    step: int
    seconds: float
    """Seconds of training so far."""
    learner: Mapping[str, Tensor]
    average: Mapping[str, Tensor]
    optimizers: Sequence[Mapping[str, Any]]

    def save(self, folder: Path) -> None:
        """Write the state, whole or not at all; a new folder appears with the state in it.

        Raises:
            OutputError: the disk fails.
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        new = contextlib.nullcontext(folder) if folder.exists() else atomic_folder(folder, STATE)
        with new as place:
            save_torch(values, place / STATE)


def remove_leftovers(folder: Path) -> None:
    """Remove files that a training was writing when its process was killed."""
    for path in folder.glob(".*.tmp"):
        if re.fullmatch(r"\.\d+-[0-9a-f]{8}\.tmp", path.name):
            path.unlink(missing_ok=True)


def load_state(folder: Path) -> TrainingState | None:
    """The state of a training in this folder; None if there is none.

    Raises:
        OptionError: the file is damaged.
    """
    path = folder / STATE
    if not path.is_file():
        return None
    try:
        return TrainingState(**torch.load(path, weights_only=True, map_location="cpu"))
    except (
        RuntimeError, ValueError, TypeError, EOFError, LookupError, pickle.UnpicklingError,
    ):  # fmt: skip
        raise OptionError(
            f"{path}: the saved training cannot be read; remove the file and give --overwrite to "
            "begin anew, or give another -o"
        ) from None
